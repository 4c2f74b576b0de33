//! What the numbers inside a record stand for: keyword, virtual server, real server.

use std::net::SocketAddr;
use std::sync::Arc;

use crate::fleet::{Connection, Fleet, MiscSpec, ProbeSpec};
use crate::id::{SpecId, VirtualServerId};

/// Turns `seq` and `spec` of a record back into words. Shared by reference counting, never changed.
#[derive(Clone, Debug)]
pub struct Catalog {
    fleet: Option<Arc<Fleet>>,
    specs: Arc<[ProbeSpec]>,
}

impl Catalog {
    /// The catalog of a configuration: `seq` is a position in `Fleet::checkers`.
    pub fn of_fleet(fleet: Arc<Fleet>) -> Catalog {
        let specs = fleet.specs.clone().into();
        Catalog { fleet: Some(fleet), specs }
    }

    /// The catalog of a target list, which has no virtual and no real servers.
    pub fn of_list(specs: Vec<ProbeSpec>) -> Catalog {
        Catalog { fleet: None, specs: specs.into() }
    }

    /// The configuration, unless the targets came from a list.
    pub fn fleet(&self) -> Option<&Arc<Fleet>> {
        self.fleet.as_ref()
    }

    /// Every way to probe, in the order of [`SpecId`].
    pub fn specs(&self) -> &Arc<[ProbeSpec]> {
        &self.specs
    }

    /// The checker's keyword.
    pub fn keyword(&self, spec: SpecId) -> &'static str {
        self.specs[spec.index()].keyword()
    }

    /// The connection options of the checker; `None` for a script.
    pub fn connection(&self, spec: SpecId) -> Option<&Connection> {
        self.specs[spec.index()].connection()
    }

    /// What a script checker runs; `None` for a checker that contacts its server itself, and for a spec
    /// that is not in here.
    pub fn script(&self, spec: SpecId) -> Option<&MiscSpec> {
        match self.specs.get(spec.index())? {
            ProbeSpec::Misc(script) => Some(script),
            ProbeSpec::Dns(_) | ProbeSpec::Tcp(_) => None,
        }
    }

    /// The virtual server of a checker; `None` for a list.
    pub fn virtual_server(&self, seq: u64) -> Option<VirtualServerId> {
        self.real_server(seq).map(|(_, virtual_server)| virtual_server)
    }

    /// Address of a checker's real server, and the virtual server it stands in; `None` for a list.
    pub fn real_server(&self, seq: u64) -> Option<(SocketAddr, VirtualServerId)> {
        let fleet = self.fleet.as_deref()?;
        let checker = fleet.checkers.get(usize::try_from(seq).ok()?)?;
        let real_server = &fleet.real_servers[checker.real_server.index()];
        Some((real_server.address, real_server.virtual_server))
    }

    /// A virtual server in words, as reports name it; empty for a list.
    pub fn virtual_server_label(&self, id: VirtualServerId) -> String {
        let fleet = self.fleet.as_deref();
        fleet.map_or_else(String::new, |fleet| fleet.virtual_server_label(id).to_string())
    }

    /// How many virtual servers there are; 0 for a list.
    pub fn virtual_servers(&self) -> usize {
        self.fleet.as_deref().map_or(0, |fleet| fleet.virtual_servers.len())
    }
}
