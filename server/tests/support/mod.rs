//! A whole installation in a temporary folder: the built binary, a database and generated location databases.

#![allow(dead_code, reason = "each test binary uses its part")]
#![allow(missing_docs, clippy::missing_panics_doc, reason = "for tests alone")]

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex, mpsc},
    thread,
    time::{Duration, Instant, SystemTime},
};

use hostatlas_domain::ProviderName;
use hostatlas_provider_standin::{Settings, StandIn, World};
use mmdb_writer::{IpVersion, Value, Writer};

/// Long enough for a loaded machine; nothing waits this long unless it is broken.
pub const PATIENCE: Duration = Duration::from_mins(1);

/// Three hosts in London (one of them with two ports), one in Mountain View, one that no database knows, one private.
pub const SCAN: &str = r#"[
{"ip":"193.61.165.138","timestamp":"1795434001","ports":[{"port":25,"proto":"tcp","status":"open","reason":"syn-ack","ttl":117}]},
{"ip":"193.61.165.139","timestamp":"1795434002","ports":[{"port":80,"proto":"tcp","status":"open","reason":"syn-ack","ttl":60}]},
{"ip":"193.61.165.139","timestamp":"1795434003","ports":[{"port":443,"proto":"tcp","status":"open","reason":"syn-ack","ttl":60}]},
{"ip":"193.61.170.1","timestamp":"1795434004","ports":[{"port":22,"proto":"tcp","status":"open","reason":"syn-ack","ttl":60}]},
{"ip":"8.8.8.8","timestamp":"1795434005","ports":[{"port":53,"proto":"udp","status":"open","reason":"udp-response","ttl":60}]},
{"ip":"45.45.45.45","timestamp":"1795434006","ports":[{"port":443,"proto":"tcp","status":"open","reason":"syn-ack","ttl":60}]},
{"ip":"10.0.0.1","timestamp":"1795434007","ports":[{"port":443,"proto":"tcp","status":"open","reason":"syn-ack","ttl":60}]}
]
"#;

/// What a command printed, and how it ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Ended {
    /// Its output as one JSON document.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error} in {self:?}"))
    }

    /// Its output as JSON lines.
    pub fn json_lines(&self) -> Vec<serde_json::Value> {
        self.stdout.lines().map(|line| serde_json::from_str(line).expect("a JSON line")).collect()
    }
}

/// A folder with everything that hostatlas needs.
pub struct Installation {
    folder: tempfile::TempDir,
}

impl Installation {
    /// With location databases, without a database of hosts.
    pub fn new() -> Self {
        let installation = Self::without_databases();
        let mmdb = installation.path("mmdb");
        fs::create_dir(&mmdb).expect("a folder");
        fs::write(mmdb.join("city.mmdb"), city_database("Test-City")).expect("a file");
        fs::write(mmdb.join("asn.mmdb"), asn_database()).expect("a file");
        installation
    }

    /// Without any database.
    pub fn without_databases() -> Self {
        Self { folder: tempfile::tempdir().expect("a temporary folder") }
    }

    /// With the hosts of [`SCAN`], located.
    pub fn located() -> Self {
        let installation = Self::imported();
        let drained = installation.run(&["worker", "--drain"]);
        assert_eq!(drained.code, Some(0), "{drained:?}");
        installation
    }

    /// With the hosts of [`SCAN`], not yet located.
    pub fn imported() -> Self {
        let installation = Self::new();
        let imported = installation.run(&["import", installation.write("scan.json", SCAN).as_str()]);
        assert_eq!(imported.code, Some(0), "{imported:?}");
        installation
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file and answers its name.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> String {
        fs::write(self.path(name), content).expect("a file");
        name.to_owned()
    }

    /// The built binary, in this folder, with no environment but a home.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_hostatlas"));
        command
            .args(arguments)
            .env_clear()
            .env("HOME", self.folder.path())
            .current_dir(self.folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// Runs it to its end with these variables.
    pub fn run_with(&self, variables: &[(String, String)], arguments: &[&str]) -> Ended {
        let mut command = self.command(arguments);
        command.envs(variables.iter().map(|(name, value)| (name, value)));
        self.ended(command.output().expect("the binary runs"))
    }

    /// Starts the server on a free port with these variables.
    pub fn serve_online(&self, variables: &[(String, String)], more: &[&str]) -> Server {
        let arguments = [&["serve", "--listen", "127.0.0.1:0"], more].concat();
        let mut command = self.command(&arguments);
        command.envs(variables.iter().map(|(name, value)| (name, value)));
        Server::start(command)
    }

    /// Runs it to its end.
    pub fn run(&self, arguments: &[&str]) -> Ended {
        self.ended(self.command(arguments).output().expect("the binary runs"))
    }

    /// Runs it with this on standard input.
    pub fn run_with_input(&self, arguments: &[&str], input: &[u8]) -> Ended {
        let mut child = self.command(arguments).stdin(Stdio::piped()).spawn().expect("the binary runs");
        let mut pipe = child.stdin.take().expect("a pipe");
        let input = input.to_vec();
        let writer = thread::spawn(move || {
            // A command that refuses its input early closes the pipe.
            let _ = pipe.write_all(&input);
        });
        let output = child.wait_with_output().expect("the binary ends");
        writer.join().expect("the writer ends");
        self.ended(output)
    }

    /// Its output with what differs from run to run replaced.
    pub fn ended(&self, output: std::process::Output) -> Ended {
        let folder = self.folder.path().to_string_lossy().into_owned();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8").replace(&folder, "[folder]");
        Ended { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
    }

    /// Starts the server on a free port.
    pub fn serve(&self) -> Server {
        self.serve_with(&[])
    }

    pub fn serve_with(&self, more: &[&str]) -> Server {
        let arguments = [&["serve", "--listen", "127.0.0.1:0"], more].concat();
        Server::start(self.command(&arguments))
    }
}

/// Online providers on loopback, which know every public address.
pub struct Online {
    // Before the runtime that it runs in.
    pub stand_in: StandIn,
    runtime: Option<tokio::runtime::Runtime>,
}

impl Drop for Online {
    fn drop(&mut self) {
        // Tests of the web have a runtime of their own, in which no other may be waited for.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Online {
    /// A world in which every address is known to everybody.
    pub fn start() -> Self {
        Self::in_world(World { seed: 7, unknown_one_in: 0, gap_one_in: 0 })
    }

    pub fn in_world(world: World) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime");
        let settings = Settings { world, ..Settings::default() };
        let stand_in = thread::scope(|scope| {
            scope
                .spawn(|| runtime.block_on(StandIn::start(settings)).expect("a port"))
                .join()
                .expect("it starts")
        });
        Self { stand_in, runtime: Some(runtime) }
    }

    /// The variables that have these providers asked here.
    pub fn variables(&self, order: &str) -> Vec<(String, String)> {
        let mut variables = vec![("HOSTATLAS_PROVIDERS".to_owned(), order.to_owned())];
        for (key, taker) in [("IPINFO_TOKEN", "ipinfo"), ("IPGEOLOCATION_API_KEY", "ipgeolocation")] {
            if order.contains(taker) {
                variables.push((key.to_owned(), SECRET.to_owned()));
            }
        }
        let asked = |provider: &ProviderName| order.split(',').any(|name| name == provider.name());
        for provider in ProviderName::ASKED.into_iter().filter(|provider| provider.is_online()).filter(asked)
        {
            let name = provider.name().to_uppercase().replace('-', "_");
            variables.push((format!("HOSTATLAS_PROVIDER_{name}_URL"), self.stand_in.base_url(provider)));
            variables.push((format!("HOSTATLAS_PROVIDER_{name}_ALLOW_PRIVATE"), "1".to_owned()));
        }
        variables
    }
}

/// A key that must be seen nowhere.
pub const SECRET: &str = "canary-8f3b1c";

/// A running server; killed when dropped.
pub struct Server {
    child: Child,
    pub address: String,
    said: Arc<Mutex<String>>,
}

impl Server {
    pub fn start(mut command: Command) -> Self {
        let mut child = command.spawn().expect("the binary runs");
        let stderr = child.stderr.take().expect("a pipe");
        let said = Arc::new(Mutex::new(String::new()));
        let (sender, receiver) = mpsc::channel();
        let kept = Arc::clone(&said);
        thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                if let Some((_, rest)) = line.split_once("hostatlas serves http://") {
                    let _ = sender.send(rest.split_whitespace().next().unwrap_or_default().to_owned());
                }
                let mut kept = kept.lock().expect("not poisoned");
                kept.push_str(&line);
                kept.push('\n');
            }
        });
        let address = receiver.recv_timeout(PATIENCE).unwrap_or_else(|_| {
            let _ = child.kill();
            panic!("the server did not start: {}", said.lock().expect("not poisoned"))
        });
        Self { child, address, said }
    }

    pub fn process_id(&self) -> u32 {
        self.child.id()
    }

    /// What it wrote to standard error so far.
    pub fn said(&self) -> String {
        self.said.lock().expect("not poisoned").clone()
    }

    /// Its process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Sends a signal by the name that `kill` knows, and waits for the end.
    pub fn stop(mut self, signal: &str) -> Option<i32> {
        let id = self.child.id().to_string();
        let sent = Command::new("kill").args([signal, &id]).status().expect("kill runs");
        assert!(sent.success());
        self.child.wait().expect("it ends").code()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A process that is killed if its test fails.
pub struct Running(Child);

impl Running {
    pub fn start(mut command: Command) -> Self {
        Self::of(command.spawn().expect("the binary runs"))
    }

    pub const fn of(child: Child) -> Self {
        Self(child)
    }

    /// Waits for its end; answers how it ended and what it wrote to standard error.
    pub fn ended(&mut self) -> (Option<i32>, String) {
        let deadline = Instant::now() + PATIENCE;
        let ended = loop {
            if let Some(ended) = self.0.try_wait().expect("a child") {
                break ended;
            }
            assert!(Instant::now() < deadline, "it goes on");
            thread::yield_now();
        };
        let mut said = String::new();
        self.0.stderr.take().expect("a pipe").read_to_string(&mut said).expect("text");
        (ended.code(), said)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A client that follows no redirect and keeps no cookie.
pub fn client() -> reqwest::Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .timeout(PATIENCE)
        .build()
        .expect("a client")
}

/// The JSON of an answer that is expected to succeed.
pub async fn get_json(server: &Server, path: &str) -> serde_json::Value {
    let answer = client().get(server.url(path)).send().await.expect("an answer");
    assert!(answer.status().is_success(), "{path}: {}", answer.status());
    answer.json().await.expect("JSON")
}

/// Posts JSON and answers status and body.
pub async fn post_json(server: &Server, path: &str, body: &serde_json::Value) -> (u16, serde_json::Value) {
    let answer = client().post(server.url(path)).json(body).send().await.expect("an answer");
    let status = answer.status().as_u16();
    let text = answer.text().await.expect("a body");
    (status, serde_json::from_str(&text).unwrap_or(serde_json::Value::Null))
}

/// Asks again until `accepts`; fails after [`PATIENCE`].
pub async fn until(
    server: &Server,
    path: &str,
    accepts: impl Fn(&serde_json::Value) -> bool,
) -> serde_json::Value {
    let deadline = std::time::Instant::now() + PATIENCE;
    loop {
        let answer = get_json(server, path).await;
        if accepts(&answer) {
            return answer;
        }
        assert!(std::time::Instant::now() < deadline, "{path} stays {answer}");
        tokio::task::yield_now().await;
    }
}

fn city(name: &str, code: &str, country: &str, latitude: f64, longitude: f64) -> Value {
    let names = |name: &str| Value::map([("names", Value::map([("en", Value::from(name))]))]);
    Value::map([
        ("city", names(name)),
        (
            "country",
            Value::map([
                ("iso_code", Value::from(code)),
                ("names", Value::map([("en", Value::from(country))])),
            ]),
        ),
        (
            "location",
            Value::map([
                ("latitude", Value::from(latitude)),
                ("longitude", Value::from(longitude)),
                ("time_zone", Value::from("Europe/London")),
            ]),
        ),
    ])
}

fn built() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_000_000)
}

/// London, Mountain View and Dublin, in a database of this type.
pub fn city_database(database_type: &str) -> Vec<u8> {
    let mut writer = Writer::builder(database_type).ip_version(IpVersion::V6).build_epoch(built()).build();
    let ranges = [
        ("193.61.0.0/16", city("London", "GB", "United Kingdom", 51.5085, -0.12574)),
        ("8.8.8.0/24", city("Mountain View", "US", "United States", 37.4223, -122.085)),
        ("2a00:1450::/32", city("Dublin", "IE", "Ireland", 53.3331, -6.24889)),
    ];
    for (range, record) in ranges {
        writer.insert(range.parse::<ipnet::IpNet>().expect("a range"), &record).expect("a free range");
    }
    writer.to_bytes().expect("a database")
}

fn asn_database() -> Vec<u8> {
    let mut writer = Writer::builder("Test-ASN").ip_version(IpVersion::V6).build_epoch(built()).build();
    let ranges = [("193.61.0.0/16", 786_u32, "Jisc Services Limited"), ("8.8.8.0/24", 15_169, "Google LLC")];
    for (range, number, organization) in ranges {
        let record = Value::map([
            ("autonomous_system_number", Value::from(number)),
            ("autonomous_system_organization", Value::from(organization)),
        ]);
        writer.insert(range.parse::<ipnet::IpNet>().expect("a range"), &record).expect("a free range");
    }
    writer.to_bytes().expect("a database")
}

/// The repository.
pub fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace")
}
