//! What a picture may cost: how finely and in how large pieces a kind of device draws 3-D views.

use std::time::Duration;

use super::refine::LEVELS;
use super::scene::{VolumeMode, VolumeScene};
use crate::gpu::Gpu;

/// How a device is driven.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Pace {
    /// What a frame may take while something moves.
    pub(crate) motion: Duration,
    /// How long a piece of refinement should take while the window is in use, and while nobody touches it.
    pieces: [Duration; 2],
    /// Time per pixel before one was measured, seconds.
    pub(crate) secs_per_px: f64,
    /// Samples of a pixel while a view rests, in projections too.
    samples: [u32; 2],
    /// Steps of a scene that a ray takes as one, at the most, through haze and on its way to faces. Projections pick single
    /// samples, of which none may be left out.
    strides: [f64; 2],
    /// The same while something moves and pixels are large.
    stride_in_motion: f64,
}

/// A graphics card.
const CARD: Pace = Pace {
    motion: Duration::from_millis(12),
    pieces: [Duration::from_millis(35); 2],
    secs_per_px: 4e-9,
    samples: [16, 16],
    strides: [1.0, 1.0],
    stride_in_motion: 1.0,
};

/// The processor in its place: 10 frames a second still feel connected to the hand. Every piece costs a frame of the whole
/// window besides, nearly as much again, so pieces are longer while nobody would feel it. A sample of short steps costs many seconds; four, each begun elsewhere on a step four times as
/// long, are as dense together, and the first of them shows the picture after a fourth of the time.
const SOFTWARE: Pace = Pace {
    motion: Duration::from_millis(80),
    pieces: [Duration::from_millis(80), Duration::from_millis(320)],
    secs_per_px: 1e-6,
    samples: [4, 1],
    strides: [4.0, 2.0],
    stride_in_motion: 8.0,
};

/// Steps from corner to corner of a volume that cost little even without a graphics card.
const FEW_STEPS: f64 = 220.0;

impl Pace {
    /// How this device is driven.
    pub(crate) fn of(gpu: &Gpu) -> Self {
        if gpu.is_software() { SOFTWARE } else { CARD }
    }

    /// How long a piece of refinement should take, `is_calm` while nobody touches the window.
    pub(crate) fn piece(&self, is_calm: bool) -> Duration {
        self.pieces[usize::from(is_calm)]
    }

    /// How many samples a pixel of a scene gets at rest.
    pub(crate) fn samples(&self, scene: &VolumeScene) -> u32 {
        let [blended, projected] = self.samples;
        match scene.jitter {
            false => 1,
            true if scene.mode.is_projection() => projected,
            true => blended,
        }
    }

    /// Steps of a scene that a ray takes as one in a picture whose pixels are as long as this fraction says, where a ray from
    /// corner to corner of the volume has `n_steps`: short rays go on in fine steps, as they cost little and their voxels
    /// are large on the screen.
    pub(crate) fn stride(&self, scene: &VolumeScene, fraction: f32, n_steps: f64) -> f64 {
        let [haze, faces] = self.strides;
        let (most, enough) = match scene.mode {
            _ if !scene.jitter => return 1.0,
            _ if fraction < LEVELS[0] => (self.stride_in_motion, FEW_STEPS / 2.0),
            VolumeMode::Composite => (haze, FEW_STEPS),
            VolumeMode::Iso | VolumeMode::Labels | VolumeMode::Surfaces => (faces, FEW_STEPS),
            VolumeMode::Mip | VolumeMode::MinIp | VolumeMode::Mean => return 1.0,
        };
        (n_steps / enough).clamp(1.0, most)
    }
}

#[cfg(test)]
mod tests {
    use glam::DAffine3;

    use super::*;

    #[test]
    fn samples_together_are_as_dense_as_the_scene_asks() {
        let mut scene = VolumeScene::new(1, DAffine3::IDENTITY, [8; 3], [10, 10]);
        for pace in [CARD, SOFTWARE] {
            for mode in [VolumeMode::Composite, VolumeMode::Iso, VolumeMode::Mip] {
                scene.mode = mode;
                for n_steps in [1.0, 100.0, 1e4] {
                    let stride = |fraction| pace.stride(&scene, fraction, n_steps);
                    assert!(stride(1.0) <= f64::from(pace.samples(&scene)), "{mode:?}");
                    assert!(stride(0.25) >= stride(0.5), "{mode:?}");
                    assert!(stride(1.0) == 1.0 || n_steps > 100.0, "{mode:?}");
                }
            }
            let exact = VolumeScene { jitter: false, ..scene.clone() };
            assert_eq!((pace.samples(&exact), pace.stride(&exact, 0.125, 1e4)), (1, 1.0));
        }
    }
}
