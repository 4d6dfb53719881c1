//! Requests about breakpoints and watchpoints.

use std::sync::Arc;

use trapline_core::VirtAddr;
use trapline_engine::client::{Point, PointKey, PointKind};
use trapline_rsp::request::{self, PointRequest};

use super::conditions;
use super::server::{Answer, Answered, Refusal, Server};

impl Server {
    pub(super) fn answer_point(&mut self, request: PointRequest) -> Answered {
        let pid = self.current_process()?;
        match request {
            PointRequest::Insert { point, conditions, commands } => {
                let condition = match conditions.is_empty() {
                    true => None,
                    false => {
                        let thread = self.current_thread()?;
                        let file = self.register_file(thread)?;
                        conditions::any_of(&conditions, file).map(Arc::new)?
                    }
                    .into(),
                };
                if commands.is_some() {
                    return Err(Refusal::new("commands at breakpoints are not run here"));
                }
                self.session.insert(pid, Point { key: key(point), condition })?;
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
