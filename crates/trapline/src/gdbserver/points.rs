//! Requests about breakpoints and watchpoints.

use std::sync::Arc;

use trapline_core::VirtAddr;
use trapline_engine::client::{Point, PointKey, PointKind};
use trapline_rsp::request::{self, Commands, PointRequest};

use super::commands::AgentCommands;
use super::conditions;
use super::server::{Answer, Answered, Server};

impl Server {
    pub(super) fn answer_point(&mut self, request: PointRequest) -> Answered {
        let pid = self.current_process()?;
        match request {
            PointRequest::Insert { point, conditions, commands } => {
                let thread = self.current_thread()?;
                let file = self.register_file(thread)?;
                let condition = match conditions.is_empty() {
                    true => None,
                    false => Some(Arc::new(conditions::any_of(&conditions, file)?)),
                };
                // Whether they stay when the client goes makes no difference:
                // without one the program stands.
                let commands = match commands {
                    Some(Commands { bytecode, .. }) if !bytecode.is_empty() => {
                        Some(AgentCommands::new(&bytecode, file)?)
                    }
                    _ => None,
                };
                let commands = commands.map(|it| Arc::new(it) as Arc<_>);
                self.session.insert(pid, Point { key: key(point), condition, commands })?;
            }
            PointRequest::Remove { point } => self.session.remove(pid, key(point))?,
        }
        Ok(Answer::Done)
    }
}

fn key(point: request::Point) -> PointKey {
    let kind = match point.kind {
        request::PointKind::Software => PointKind::Code,
        request::PointKind::Hardware => PointKind::HardwareCode,
        request::PointKind::Write => PointKind::Write,
        request::PointKind::Read => PointKind::Read,
        request::PointKind::Access => PointKind::Access,
    };
    let len = if kind.access().is_some() { point.size } else { 1 };
    PointKey { kind, addr: VirtAddr::new(point.address), len }
}
