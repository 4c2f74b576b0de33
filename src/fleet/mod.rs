//! Stage 2: a tree of directives, or a list of targets, becomes the typed model.
//!
//! [`load`] reads a configuration, root block by root block: the tree of one is gone before the next is
//! read, so that memory goes with the model and not with the text. [`targets`] reads address lists, one
//! address at a time.

mod bfd;
mod check;
mod checker;
pub mod effective;
pub mod exclude;
mod forwarding;
mod globals;
mod granularity;
mod group;
mod keywords;
mod label;
mod load;
mod lower;
mod misspelled;
pub mod model;
mod named;
mod network;
mod notify;
mod number;
pub mod range;
mod real_server;
pub mod script;
pub mod script_file;
mod select;
mod service;
mod settings;
mod settle;
mod ssl;
pub mod targets;
mod track_file;
mod value;
mod virtual_server;

pub use exclude::ExcludeList;
pub(crate) use forwarding::is_hashing;
pub use globals::global_keywords;
pub use label::RETRIES_DEFAULT;
pub use load::{Analysis, LoadOptions, Loaded, Rejected, analyse, analyse_text, load, load_text};
pub use model::{
    Argv, Checker, Connection, DnsRequire, DnsSpec, Fleet, Handshake, MiscSpec, ProbeSpec,
    Protocol, RealServer, ScriptCommand, ScriptUser, Service, TcpSpec, Timing, VirtualServer,
};
pub use script::user::UserName;
pub use targets::{TargetError, TargetList, TargetProblem};
