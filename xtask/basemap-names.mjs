// Names that world-atlas lacks or abbreviates.

/** ISO 3166-1 numeric to alpha-2, for every code that world-atlas uses. */
export const alpha2 = Object.fromEntries(
  `004AF 008AL 010AQ 012DZ 016AS 020AD 024AO 028AG 031AZ 032AR 036AU 040AT 044BS 048BH 050BD 051AM 052BB 056BE
   060BM 064BT 068BO 070BA 072BW 076BR 084BZ 086IO 090SB 092VG 096BN 100BG 104MM 108BI 112BY 116KH 120CM 124CA
   132CV 136KY 140CF 144LK 148TD 152CL 156CN 158TW 170CO 174KM 178CG 180CD 184CK 188CR 191HR 192CU 196CY 203CZ
   204BJ 208DK 212DM 214DO 218EC 222SV 226GQ 231ET 232ER 233EE 234FO 238FK 239GS 242FJ 246FI 248AX 250FR 258PF
   260TF 262DJ 266GA 268GE 270GM 275PS 276DE 288GH 296KI 300GR 304GL 308GD 316GU 320GT 324GN 328GY 332HT 334HM
   336VA 340HN 344HK 348HU 352IS 356IN 360ID 364IR 368IQ 372IE 376IL 380IT 384CI 388JM 392JP 398KZ 400JO 404KE
   408KP 410KR 414KW 417KG 418LA 422LB 426LS 428LV 430LR 434LY 438LI 440LT 442LU 446MO 450MG 454MW 458MY 462MV
   466ML 470MT 478MR 480MU 484MX 492MC 496MN 498MD 499ME 500MS 504MA 508MZ 512OM 516NA 520NR 524NP 528NL 531CW
   533AW 534SX 540NC 548VU 554NZ 558NI 562NE 566NG 570NU 574NF 578NO 580MP 583FM 584MH 585PW 586PK 591PA 598PG
   600PY 604PE 608PH 612PN 616PL 620PT 624GW 626TL 630PR 634QA 642RO 643RU 646RW 652BL 654SH 659KN 660AI 662LC
   663MF 666PM 670VC 674SM 678ST 682SA 686SN 688RS 690SC 694SL 702SG 703SK 704VN 705SI 706SO 710ZA 716ZW 724ES
   728SS 729SD 732EH 740SR 748SZ 752SE 756CH 760SY 762TJ 764TH 768TG 776TO 780TT 784AE 788TN 792TR 795TM 796TC
   800UG 804UA 807MK 818EG 826GB 831GG 832JE 833IM 834TZ 840US 850VI 854BF 858UY 860UZ 862VE 876WF 882WS 887YE
   894ZM`
    .trim()
    .split(/\s+/)
    .map((entry) => [entry.slice(0, 3), entry.slice(3)]),
);

/** The two-letter codes that databases use where ISO has given no number. */
export const withoutNumber = { Kosovo: 'XK' };

export const fullNames = {
  'Antigua and Barb.': 'Antigua and Barbuda',
  'Ashmore and Cartier Is.': 'Ashmore and Cartier Islands',
  'Bosnia and Herz.': 'Bosnia and Herzegovina',
  'Br. Indian Ocean Ter.': 'British Indian Ocean Territory',
  'British Virgin Is.': 'British Virgin Islands',
  'Cayman Is.': 'Cayman Islands',
  'Central African Rep.': 'Central African Republic',
  'Cook Is.': 'Cook Islands',
  "Côte d'Ivoire": 'Côte d’Ivoire',
  'Dem. Rep. Congo': 'DR Congo',
  'Dominican Rep.': 'Dominican Republic',
  'Eq. Guinea': 'Equatorial Guinea',
  eSwatini: 'Eswatini',
  'Faeroe Is.': 'Faroe Islands',
  'Falkland Is.': 'Falkland Islands',
  'Fr. Polynesia': 'French Polynesia',
  'Fr. S. Antarctic Lands': 'French Southern Territories',
  'Heard I. and McDonald Is.': 'Heard and McDonald Islands',
  'Indian Ocean Ter.': 'Indian Ocean Territories',
  Macedonia: 'North Macedonia',
  'Marshall Is.': 'Marshall Islands',
  'N. Cyprus': 'Northern Cyprus',
  'N. Mariana Is.': 'Northern Mariana Islands',
  'Pitcairn Is.': 'Pitcairn Islands',
  'S. Geo. and the Is.': 'South Georgia and the South Sandwich Islands',
  'S. Sudan': 'South Sudan',
  'São Tomé and Principe': 'São Tomé and Príncipe',
  'Solomon Is.': 'Solomon Islands',
  'St-Barthélemy': 'Saint Barthélemy',
  'St-Martin': 'Saint Martin',
  'St. Kitts and Nevis': 'Saint Kitts and Nevis',
  'St. Pierre and Miquelon': 'Saint Pierre and Miquelon',
  'St. Vin. and Gren.': 'Saint Vincent and the Grenadines',
  Turkey: 'Türkiye',
  'Turks and Caicos Is.': 'Turks and Caicos Islands',
  'U.S. Virgin Is.': 'U.S. Virgin Islands',
  'United States of America': 'United States',
  'W. Sahara': 'Western Sahara',
  'Wallis and Futuna Is.': 'Wallis and Futuna',
};

/** Oceans and seas with where their names stand; `rank` 1 is drawn on the world view, 3 only when zoomed in. */
export const seas = [
  { name: 'North Atlantic Ocean', lat: 32, lon: -43, rank: 1 },
  { name: 'South Atlantic Ocean', lat: -24, lon: -15, rank: 1 },
  { name: 'North Pacific Ocean', lat: 32, lon: -155, rank: 1 },
  { name: 'South Pacific Ocean', lat: -30, lon: -125, rank: 1 },
  { name: 'Indian Ocean', lat: -22, lon: 79, rank: 1 },
  { name: 'Southern Ocean', lat: -62, lon: 20, rank: 1 },
  { name: 'Arctic Ocean', lat: 80.5, lon: -10, rank: 1 },
  { name: 'Philippine Sea', lat: 19, lon: 134, rank: 2 },
  { name: 'Arabian Sea', lat: 15, lon: 64, rank: 2 },
  { name: 'Bay of Bengal', lat: 13, lon: 88, rank: 2 },
  { name: 'Bering Sea', lat: 57.5, lon: -178, rank: 2 },
  { name: 'Coral Sea', lat: -16.5, lon: 155, rank: 2 },
  { name: 'Tasman Sea', lat: -38, lon: 161, rank: 2 },
  { name: 'South China Sea', lat: 14, lon: 115, rank: 2 },
  { name: 'Caribbean Sea', lat: 14.8, lon: -75.5, rank: 2 },
  { name: 'Gulf of Mexico', lat: 25, lon: -90, rank: 2 },
  { name: 'Mediterranean Sea', lat: 34.6, lon: 18.5, rank: 2 },
  { name: 'Norwegian Sea', lat: 68, lon: 2, rank: 2 },
  { name: 'Hudson Bay', lat: 59.5, lon: -85.5, rank: 2 },
  { name: 'Labrador Sea', lat: 57, lon: -53, rank: 3 },
  { name: 'North Sea', lat: 56, lon: 3.3, rank: 3 },
  { name: 'Baltic Sea', lat: 56.6, lon: 18.7, rank: 3 },
  { name: 'Black Sea', lat: 43.2, lon: 34.3, rank: 3 },
  { name: 'Bay of Biscay', lat: 45.3, lon: -5, rank: 3 },
  { name: 'Red Sea', lat: 20.5, lon: 38.3, rank: 3 },
  { name: 'Tyrrhenian Sea', lat: 39.8, lon: 12, rank: 3 },
];
