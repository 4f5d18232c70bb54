// Puts an offscreen picture (premultiplied, sRGB-coded) onto a target, smoothly enlarged.

@group(0) @binding(0) var picture: texture_2d<f32>;
@group(0) @binding(1) var linear: sampler;
// x: 1 for an sRGB target.
@group(0) @binding(2) var<uniform> style: vec4<f32>;

struct Corner {
    @builtin(position) position: vec4<f32>,
    @location(0) uv: vec2<f32>,
    // The style: a branch on a uniform alone makes software drivers compile anew, see slice.wgsl.
    @location(1) @interpolate(flat) is_srgb: f32,
};

@vertex
fn corner(@builtin(vertex_index) i: u32) -> Corner {
    let p = vec2<f32>(f32((i << 1u) & 2u), f32(i & 2u));
    return Corner(vec4<f32>(p.x * 2.0 - 1.0, 1.0 - p.y * 2.0, 0.0, 1.0), p, style.x);
}

@fragment
fn blit(v: Corner) -> @location(0) vec4<f32> {
    let at = v.uv * vec2<f32>(textureDimensions(picture));
    let scale = fwidth(at);
    var c = textureSampleLevel(picture, linear, v.uv, 0.0);
    // Pixel on pixel: as it is, without the last bits of the sampler's place.
    if (all(abs(scale - 1.0) < vec2<f32>(0.001))) { c = textureLoad(picture, vec2<i32>(floor(at)), 0); }
    if (v.is_srgb > 0.5 && c.a > 0.0) {
        let rgb = clamp(c.rgb / c.a, vec3<f32>(0.0), vec3<f32>(1.0));
        c = vec4<f32>(select(pow((rgb + 0.055) / 1.055, vec3<f32>(2.4)), rgb / 12.92, rgb <= vec3<f32>(0.04045)) * c.a, c.a);
    }
    return c;
}

// A sample on its way into a mean: a tenth of a grey level more, so that what lies halfway between two levels is rounded
// the same way wherever the picture is cut into tiles.
@fragment
fn sample_of(v: Corner) -> @location(0) vec4<f32> {
    return textureLoad(picture, vec2<i32>(v.position.xy), 0) + 0.0004;
}
