//! A program that keeps its notes in OuroborosDB: `cargo run --example embed -- FOLDER`.

use std::io::Read;

use ouroborosdb::{Ack, Database, Options};

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    let folder = std::env::args().nth(1).unwrap_or_else(|| "data".into());
    keep_notes(std::path::Path::new(&folder))
}

pub(crate) fn keep_notes(folder: &std::path::Path) -> Result<(), Failure> {
    let db = Database::open(folder, Options::default())?; // creates on first use
    let first = db.put("notes/today", &b"hello"[..])?; // anything that is Read
    let second = db.put("notes/today", &b"hello, world"[..])?;
    let mut text = String::new();
    db.get("notes/today")?.read_to_string(&mut text)?; // Read + Seek, verifies as it goes
    assert_eq!(text, "hello, world");
    assert_eq!(second.vertex.parents, [first.hash]); // nothing is ever lost
    let mut batch = db.batch(); // many small records, one sync, visible together
    for day in 1..=7 {
        batch.put(&format!("notes/day-{day}"), format!("day {day}").as_bytes())?;
    }
    batch.commit(Ack::Local)?;
    assert_eq!(db.list("notes/").count(), 8);
    Ok(())
}
