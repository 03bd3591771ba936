//! What opening a database may do to it.

/// What opening a store may do to its database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenMode {
    /// Makes what is missing and migrates what is older.
    ///
    /// On SQLite that is the file, too. Making a database on a server is for those who run it, so on PostgreSQL this is
    /// [`OpenMode::Migrate`].
    Create,
    /// Makes the tables if it is empty and migrates it if it is older. A missing one is refused.
    Migrate,
    /// Neither: a missing database, an empty one and an older one are refused.
    Existing,
    /// Opens an empty or older one as it is, only to ask for [`schema_status`](crate::AdminStore::schema_status). A
    /// missing one is refused.
    Inspect,
}
