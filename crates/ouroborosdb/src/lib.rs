//! OuroborosDB.

mod error;
mod session;

pub use error::{Error, ErrorClass, KeyFileProblem};
pub use session::{
    Ack, At, Change, CheckReport, CheckRequest, ContentReader, Cursor, Finding, Head, NAMES_PAGE_MAX,
    NameEntry, NamesQuery, Progress, Put, PutRequest, Session, Silent, Stats, Version,
};
