//! Work for the device in short pieces: none long enough for a driver's watchdog or for a cancel to wait on.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::CardError;
use super::place::Params;
use crate::base::Progress;
use crate::gpu::Gpu;
use crate::gpu::compute::watched;

/// How long a piece should take.
const PIECE: Duration = Duration::from_millis(40);
/// Updates of the first piece, before anything is known of the device.
const FIRST_PIECE: f64 = 1.0e7;
/// Dispatches of a piece, at most.
const SLOTS: usize = 256;
/// Distance of their parameters in bytes: what every device takes.
const SLOT_BYTES: usize = 256;
/// Pieces that the device may have before it is waited for.
const AHEAD: usize = 2;
/// Workgroups of a dispatch along an axis, at most.
const GROUPS: u32 = 65_535;

/// A shader with what it reads and writes.
#[derive(Debug)]
pub(super) struct Kernel {
    pub(super) pipeline: wgpu::ComputePipeline,
    pub(super) group: wgpu::BindGroup,
}

/// One kernel over a number of tiles.
pub(super) struct Work<'a> {
    pub(super) kernel: &'a Kernel,
    pub(super) params: Params,
    pub(super) tiles: u32,
    /// Workgroups a tile.
    pub(super) pairs: u32,
    /// Updates a tile.
    pub(super) updates: f64,
}

struct Dispatch<'a> {
    kernel: &'a Kernel,
    tiles: u32,
    pairs: u32,
}

struct Piece {
    submission: wgpu::SubmissionIndex,
    updates: f64,
    since: Instant,
}

/// Hands work to the device piece by piece.
pub(super) struct Feed<'a> {
    gpu: &'a Gpu,
    progress: &'a Progress,
    params: &'a wgpu::Buffer,
    told: Vec<u8>,
    dispatches: Vec<Dispatch<'a>>,
    updates: f64,
    /// Updates of a piece.
    pub(super) piece: f64,
    under_way: VecDeque<Piece>,
    last_done: Instant,
}

/// The buffer that holds the parameters of a piece.
pub(super) fn params_buffer(gpu: &Gpu) -> wgpu::Buffer {
    gpu.device.create_buffer(&wgpu::BufferDescriptor {
        label: Some("reconstruction: parameters"),
        size: (SLOTS * SLOT_BYTES) as u64,
        usage: wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_DST,
        mapped_at_creation: false,
    })
}

impl<'a> Feed<'a> {
    pub(super) fn new(gpu: &'a Gpu, progress: &'a Progress, params: &'a wgpu::Buffer) -> Self {
        Self {
            gpu,
            progress,
            params,
            told: Vec::new(),
            dispatches: Vec::new(),
            updates: 0.0,
            piece: FIRST_PIECE,
            under_way: VecDeque::new(),
            last_done: Instant::now(),
        }
    }

    /// Adds work, after all that was added before.
    pub(super) fn add(&mut self, work: &Work<'a>) -> Result<(), CardError> {
        let mut first = 0;
        while first < work.tiles {
            if self.updates >= self.piece || self.dispatches.len() == SLOTS {
                self.submit()?;
            }
            let fits =
                ((self.piece - self.updates) / work.updates.max(1.0)).clamp(1.0, f64::from(GROUPS)) as u32;
            let tiles = fits.min(work.tiles - first);
            let params = Params { first_tile: first, ..work.params };
            self.told.extend_from_slice(bytemuck::bytes_of(&params));
            self.told.resize((self.dispatches.len() + 1) * SLOT_BYTES, 0);
            self.dispatches.push(Dispatch { kernel: work.kernel, tiles, pairs: work.pairs });
            self.updates += f64::from(tiles) * work.updates;
            first += tiles;
        }
        Ok(())
    }

    /// Submits what was added, then `more`; waits until the device has few pieces left. Returns what it is waited for by.
    pub(super) fn submit_with(
        &mut self,
        more: impl FnOnce(&mut wgpu::CommandEncoder),
    ) -> Result<wgpu::SubmissionIndex, CardError> {
        self.progress.check()?;
        let submission = watched(self.gpu, || {
            if !self.told.is_empty() {
                self.gpu.queue.write_buffer(self.params, 0, &self.told);
            }
            let mut encoder =
                self.gpu.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
            if !self.dispatches.is_empty() {
                let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
                for (slot, dispatch) in self.dispatches.iter().enumerate() {
                    pass.set_pipeline(&dispatch.kernel.pipeline);
                    pass.set_bind_group(0, &dispatch.kernel.group, &[(slot * SLOT_BYTES) as u32]);
                    pass.dispatch_workgroups(dispatch.tiles, dispatch.pairs, 1);
                }
            }
            more(&mut encoder);
            self.gpu.queue.submit([encoder.finish()])
        })
        .map_err(CardError::Lost)?;
        let under_way = submission.clone();
        self.under_way.push_back(Piece {
            submission: under_way,
            updates: self.updates,
            since: Instant::now(),
        });
        self.told.clear();
        self.dispatches.clear();
        self.updates = 0.0;
        while self.under_way.len() > AHEAD {
            self.wait_for_oldest()?;
        }
        Ok(submission)
    }

    /// Submits what was added.
    pub(super) fn submit(&mut self) -> Result<(), CardError> {
        self.submit_with(|_| ()).map(drop)
    }

    fn wait_for_oldest(&mut self) -> Result<(), CardError> {
        let Some(piece) = self.under_way.pop_front() else { return Ok(()) };
        let wait = wgpu::PollType::Wait { submission_index: Some(piece.submission), timeout: None };
        self.gpu.device.poll(wait).map_err(|error| CardError::Lost(error.to_string()))?;
        let now = Instant::now();
        if piece.updates > 0.0 {
            let took = now.saturating_duration_since(piece.since.max(self.last_done)).as_secs_f64().max(1e-6);
            let wanted = piece.updates / took * PIECE.as_secs_f64();
            self.piece = wanted.clamp(self.piece / 4.0, self.piece * 2.0).max(1.0);
        }
        self.last_done = now;
        Ok(())
    }
}
