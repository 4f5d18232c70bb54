// The nearest seed of every voxel of a slab: one invocation per voxel, the same arithmetic in the same order as on the
// processor. A workgroup is one bin of 4 × 8 × 8 voxels, whose list names the seeds that reach into it.

struct Slab {
    // z, y, x: extent of the volume in voxels; first slice of the slab
    shape: vec3<u32>,
    z0: u32,
    // One over the square of a cell's edge (z, y, x), and the weight of values
    weight: vec4<f32>,
    // Slices of the slab; bins along y and x; number of the first entry of the slab's lists
    depth: u32,
    bins_y: u32,
    bins_x: u32,
    first: u32,
}

struct Seed {
    // Place (z, y, x) and value
    place: vec4<f32>,
    // Slices and rows that are compared: from, to
    window: vec4<u32>,
    // First voxel along x that is compared
    x_low: u32,
    pad0: u32,
    pad1: u32,
    pad2: u32,
}

@group(0) @binding(0) var<uniform> slab: Slab;
@group(0) @binding(1) var<storage, read> values: array<f32>;
@group(0) @binding(2) var<storage, read> seeds: array<Seed>;
@group(0) @binding(3) var<storage, read> starts: array<u32>;
@group(0) @binding(4) var<storage, read> list: array<u32>;
@group(0) @binding(5) var<storage, read_write> ids: array<u32>;

@compute @workgroup_size(8, 8, 4)
fn main(@builtin(local_invocation_id) local: vec3<u32>, @builtin(workgroup_id) group: vec3<u32>) {
    let x = group.x * 8u + local.x;
    let y = group.y * 8u + local.y;
    let dz = group.z * 4u + local.z;
    if x >= slab.shape.z || y >= slab.shape.y || dz >= slab.depth {
        return;
    }
    let z = slab.z0 + dz;
    let at = (dz * slab.shape.y + y) * slab.shape.z + x;
    let bin = (group.z * slab.bins_y + group.y) * slab.bins_x + group.x;
    let value = values[at];
    // The processor compares rows of eight voxels from the first one of a block of 64 on.
    let block = x / 64u * 64u;
    let lane = (x - block) / 8u;
    var least = 3.4e38;
    var best = 0u;
    for (var i = starts[bin] - slab.first; i < starts[bin + 1u] - slab.first; i++) {
        let number = list[i];
        let seed = seeds[number];
        if z < seed.window.x || z >= seed.window.y || y < seed.window.z || y >= seed.window.w {
            continue;
        }
        let lane0 = (max(seed.x_low, block) - block) / 8u;
        var x0 = f32(block) - seed.place.z;
        x0 = x0 + f32(lane0 * 8u);
        for (var k = lane0; k < lane; k++) {
            x0 = x0 + 8.0;
        }
        let off_z = f32(z) - seed.place.x;
        let off_y = f32(y) - seed.place.y;
        let off_x = x0 + f32(x & 7u);
        let off_value = value - seed.place.w;
        let base = off_y * off_y * slab.weight.y + off_z * off_z * slab.weight.x;
        let d = base + off_x * off_x * slab.weight.z + off_value * off_value * slab.weight.w;
        if d < least {
            least = d;
            best = number + 1u;
        }
    }
    ids[at] = best;
}
