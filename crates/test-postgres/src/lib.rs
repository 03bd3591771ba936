//! A `PostgreSQL` server of its own for tests.
