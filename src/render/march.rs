//! One 3-D view as numbers for the shader (volume.wgsl).

use super::scene::{VolumeMode, VolumeScene};
use super::setup::MarchSetup;
use super::slice::{inverse_width, vec4};
use super::texture::Scale;
use super::transfer::TransferTable;

/// Uniform of volume.wgsl, 47 vectors. Keep in sync with `March` there.
pub(crate) type MarchUniform = [[f32; 4]; 47];

/// Number of a mode in the shader.
fn mode_number(mode: VolumeMode) -> f64 {
    match mode {
        VolumeMode::Composite => 0.0,
        VolumeMode::Mip => 1.0,
        VolumeMode::MinIp => 2.0,
        VolumeMode::Mean => 3.0,
        VolumeMode::Iso => 4.0,
        VolumeMode::Labels => 5.0,
        VolumeMode::Surfaces => 6.0,
    }
}

/// What of a scene is built into its pipeline, so that a picture pays only for what it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct MarchKind {
    mode: VolumeMode,
    labels: bool,
    keeps: bool,
    n_channels: u8,
    sheets: bool,
    shaded: bool,
    hollows: bool,
    shadows: bool,
}

impl MarchKind {
    /// The kind of a scene, with sheets of surfaces or without.
    pub(crate) fn of(scene: &VolumeScene, sheets: bool) -> Self {
        let is_haze = scene.mode == VolumeMode::Composite;
        let has_faces = matches!(scene.mode, VolumeMode::Iso | VolumeMode::Labels);
        Self {
            mode: scene.mode,
            labels: scene.labels.is_some() && (is_haze || has_faces),
            keeps: scene.labels.is_some() && scene.keeps,
            n_channels: scene.drawn_channels().len() as u8,
            sheets,
            shaded: is_haze && scene.shading > 0.0,
            hollows: has_faces && scene.occlusion > 0.0,
            shadows: has_faces && scene.shadow > 0.0,
        }
    }

    /// The overrides of volume.wgsl.
    pub(crate) fn constants(self) -> [(&'static str, f64); 8] {
        let flag = |on: bool| f64::from(u8::from(on));
        [
            ("MODE", mode_number(self.mode)),
            ("LABELS", flag(self.labels)),
            ("KEEPS", flag(self.keeps)),
            ("CHANNELS", f64::from(self.n_channels)),
            ("SHEETS", flag(self.sheets)),
            ("SHADED", flag(self.shaded)),
            ("HOLLOWS", flag(self.hollows)),
            ("SHADOWS", flag(self.shadows)),
        ]
    }
}

/// Gradient, per µm, at which shading reaches half its strength: flat, noisy regions stay unshaded.
pub(crate) fn shading_gradient(table: &TransferTable) -> f64 {
    f64::from(table.high - table.low) * 0.35
}

/// Numbers of a view; `texels` are those of the volume along z, y, x, `channels` are how those that are drawn are stored, `edge` is the size of a brick, `tile` the size of the target and the place of
/// its upper left corner in the picture of `picture` pixels,
/// `sheets` the last two vectors, about surfaces.
pub(crate) fn march_uniform(
    scene: &VolumeScene,
    setup: &MarchSetup,
    table: &TransferTable,
    (scale, texels): (Scale, [usize; 3]),
    channels: &[Scale],
    edge: usize,
    ([tile, offset, picture], sheets): ([[u32; 2]; 3], [[f32; 4]; 2]),
) -> MarchUniform {
    let flag = |on: bool| f32::from(u8::from(on));
    let mut u: MarchUniform = [[0.0; 4]; 47];
    for i in 0..3 {
        u[i] = vec4(setup.origin[i], 0.0);
        u[3 + i] = vec4(setup.direction[i], 0.0);
        u[9 + i] = vec4(setup.camera_gradient.col(i), 0.0);
        let row = setup.label_from_texel.matrix3.row(i);
        u[12 + i] = vec4(row, setup.label_from_texel.translation[i] as f32);
    }
    u[6] = [setup.half[0] as f32, setup.half[1] as f32, flag(setup.is_perspective), setup.dt_um as f32];
    u[7] = vec4(setup.low, 0.0);
    u[8] = vec4(setup.high, 0.0);
    u[15] = [scale.mul, scale.add, scene.window[0], inverse_width(scene.window)];
    let per_value = (table.direct.len() - 1) as f32 / (table.high - table.low);
    u[16] = [table.low, per_value, shading_gradient(table) as f32, 0.0];
    let [r, g, b] = scene.iso_rgb;
    u[17] = [r, g, b, scene.iso_value];
    u[18] = [0.0, scene.shading.clamp(0.0, 1.0), flag(scene.jitter), edge as f32];
    let strength = scene.labels.as_ref().map_or(0.0, |labels| labels.strength.clamp(0.0, 1.0));
    u[19] = [0.0, strength, 0.0, 0.0];
    u[20] = scene.background;
    u[21] = [tile[0] as f32, tile[1] as f32, offset[0] as f32, offset[1] as f32];
    u[22] = [picture[0] as f32, picture[1] as f32, 0.0, 0.0];
    let share = |value: f32| value.clamp(0.0, 1.0);
    u[23] = [share(scene.depth_cue), share(scene.occlusion), share(scene.shadow), 0.0];
    let [near, far] = setup.depth_um;
    u[24] = [near as f32, (1.0 / (far - near).max(1e-12)) as f32, setup.voxel_um as f32, 0.0];
    for (u, cut) in u[25..29].iter_mut().zip(&setup.cuts) {
        *u = cut.as_vec4().to_array();
    }
    for i in 0..3 {
        u[29 + i] = vec4(setup.basis.col(i), 0.0);
    }
    u[43..45].copy_from_slice(&sheets);
    u[45] = vec4(setup.whole.0, 0.0);
    u[46] = vec4(setup.whole.1, 0.0);
    let [nz, ny, nx] = texels.map(|n| 1.0 / n.max(1) as f32);
    u[32] = [nx, ny, nz, 0.0];
    let drawn = scene.drawn_channels().iter().zip(channels).zip(&setup.channel_from_texel);
    for (((channel, scale), map), u) in drawn.zip(u[33..43].chunks_exact_mut(5)) {
        for (axis, row) in u[..3].iter_mut().enumerate() {
            *row = vec4(map.matrix3.row(axis), map.translation[axis] as f32);
        }
        u[3] = [scale.mul, scale.add, channel.window[0], inverse_width(channel.window)];
        let [r, g, b] = channel.rgb;
        u[4] = [r, g, b, channel.density_per_um.max(0.0)];
    }
    u
}
