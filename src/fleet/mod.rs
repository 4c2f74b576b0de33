//! Stage 2: a tree of directives, or a list of targets, becomes the typed model.
//!
//! [`load`] reads a configuration, root block by root block: the tree of one is gone before the next is
//! read, so that memory goes with the model and not with the text. [`targets`] reads address lists, one
//! address at a time.

mod analyse;
mod checker;
pub mod effective;
pub mod exclude;
mod forwarding;
mod group;
mod keywords;
mod label;
mod load;
mod lower;
pub mod model;
pub mod range;
mod real_server;
pub mod script;
pub mod script_file;
mod settings;
mod settle;
pub mod targets;
mod value;
mod virtual_server;

pub use analyse::{Analysis, analyse, analyse_text};
pub use exclude::ExcludeList;
pub use label::RETRIES_DEFAULT;
pub use load::{LoadOptions, Loaded, Rejected, load, load_text};
pub use model::{
    Checker, Connection, DnsRequire, DnsSpec, Fleet, Handshake, MiscSpec, ProbeSpec, Protocol,
    RealServer, ScriptCommand, ScriptUser, Service, TcpSpec, Timing, VirtualServer,
};
pub use script::user::UserName;
pub use targets::{TargetError, TargetList, TargetProblem};
