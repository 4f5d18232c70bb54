// One layer of a slice: an image with window and colour map, or labels with fill and contour.
// Keep in sync with SliceUniform in src/render/slice.rs.

struct Slice {
    // Texel place (centres at whole numbers) of the picture's corner and steps per pixel.
    origin: vec4<f32>,
    du: vec4<f32>,
    dv: vec4<f32>,
    // Step through a slab; w: number of samples.
    dw: vec4<f32>,
    // Box of valid places in texels.
    low: vec4<f32>,
    high: vec4<f32>,
    // x: first texel of the stored block subtracted from places, per axis.
    shift: vec4<f32>,
    // Picture width, height in pixels; offset of this tile in pixels.
    size: vec4<f32>,
    // Value = stored * x + y; z: window low, w: 1 / (window high - low).
    value: vec4<f32>,
    // x: opacity, y: 1 for additive, z: 1 for linear, 2 for cubic, w: 1 for an sRGB target.
    style: vec4<f32>,
    // Highlight: x low, y high, z strength (0: none), w: slab mode 0 mean, 1 max, 2 min.
    highlight: vec4<f32>,
    highlight_rgb: vec4<f32>,
    // Labels: x fill opacity, y contour in pixels, z contour opacity.
    label: vec4<f32>,
    background: vec4<f32>,
    // Pixels that are drawn: x 0 all, 1 left of y, 2 right of y, 3 even and 4 odd squares of y pixels.
    mask: vec4<f32>,
};

@group(0) @binding(0) var<uniform> u: Slice;
@group(0) @binding(1) var image: texture_3d<f32>;
@group(0) @binding(2) var linear: sampler;
@group(0) @binding(3) var colors: texture_2d<f32>;
@group(0) @binding(4) var ids: texture_3d<u32>;

struct Corner {
    @builtin(position) position: vec4<f32>,
    @location(0) uv: vec2<f32>,
    // What steers branches comes this way: software drivers compile a shader anew, and keep it, for every
    // set of uniforms that a branch or a loop depends on alone.
    // x: 1 for an sRGB target, y: 1 for linear, 2 for cubic, z: samples of the slab, w: slab mode.
    @location(1) @interpolate(flat) steer: vec4<f32>,
    // x: contour in pixels, y: strength of the highlight.
    @location(2) @interpolate(flat) edge: vec2<f32>,
    // x: which pixels are drawn, y: a length in pixels.
    @location(3) @interpolate(flat) mask: vec2<f32>,
};

@vertex
fn corner(@builtin(vertex_index) i: u32) -> Corner {
    let p = vec2<f32>(f32((i << 1u) & 2u), f32(i & 2u));
    return Corner(vec4<f32>(p.x * 2.0 - 1.0, 1.0 - p.y * 2.0, 0.0, 1.0), p,
        vec4<f32>(u.style.w, u.style.z, u.dw.w, u.highlight.w), vec2<f32>(u.label.y, u.highlight.z),
        u.mask.xy);
}

fn to_target(v: Corner, rgb: vec3<f32>, alpha: f32, is_additive: f32) -> vec4<f32> {
    var c = clamp(rgb, vec3<f32>(0.0), vec3<f32>(1.0));
    if (v.steer.x > 0.5) {
        c = select(pow((c + 0.055) / 1.055, vec3<f32>(2.4)), c / 12.92, c <= vec3<f32>(0.04045));
    }
    // Premultiplied; an additive layer covers nothing.
    return vec4<f32>(c * alpha, alpha * (1.0 - is_additive));
}

@fragment
fn background(v: Corner) -> @location(0) vec4<f32> {
    return to_target(v, u.background.rgb, u.background.a, 0.0);
}

// The middle of the pixel, also where the viewport is not a whole number of pixels.
fn pixel(v: Corner) -> vec2<f32> {
    return floor(v.uv * u.size.xy) + 0.5 + u.size.zw;
}

fn is_outside(p: vec3<f32>) -> bool {
    return any(p < u.low.xyz) || any(p >= u.high.xyz);
}

// Whether a pixel belongs to this layer where two are compared.
fn is_drawn(v: Corner, px: vec2<f32>) -> bool {
    if (v.mask.x < 0.5) {
        return true;
    }
    if (v.mask.x < 2.5) {
        return (px.x < v.mask.y) == (v.mask.x < 1.5);
    }
    let square = floor(px / v.mask.y);
    let is_odd = fract((square.x + square.y) * 0.5) > 0.25;
    return is_odd == (v.mask.x > 3.5);
}

// Weights of four neighbours at a fraction: cubic after Catmull and Rom. Keep in sync with cpu.rs.
fn weights(f: f32) -> vec4<f32> {
    let f2 = f * f;
    let f3 = f2 * f;
    return 0.5 * vec4<f32>(-f3 + 2.0 * f2 - f, 3.0 * f3 - 5.0 * f2 + 2.0, -3.0 * f3 + 4.0 * f2 + f, f3 - f2);
}

fn cubic_at(q: vec3<f32>) -> f32 {
    let last = vec3<i32>(textureDimensions(image)) - 1;
    let base = floor(q);
    let i = vec3<i32>(base);
    let f = q - base;
    let wx = weights(f.x);
    let wy = weights(f.y);
    let wz = weights(f.z);
    var sum = 0.0;
    for (var z = 0; z < 4; z++) {
        // A slice along the voxels lies on their centres: one plane of four counts.
        if (wz[z] == 0.0) { continue; }
        for (var y = 0; y < 4; y++) {
            if (wy[y] == 0.0) { continue; }
            for (var x = 0; x < 4; x++) {
                if (wx[x] == 0.0) { continue; }
                let at = clamp(i + vec3<i32>(x - 1, y - 1, z - 1), vec3<i32>(0), last);
                sum += wx[x] * wy[y] * wz[z] * textureLoad(image, at, 0).r;
            }
        }
    }
    return sum;
}

fn value_at(v: Corner, p: vec3<f32>) -> f32 {
    let q = p - u.shift.xyz;
    let n = vec3<f32>(textureDimensions(image));
    var stored = 0.0;
    if (v.steer.y > 1.5) {
        stored = cubic_at(q);
    } else if (v.steer.y > 0.5) {
        stored = textureSampleLevel(image, linear, (q + 0.5) / n, 0.0).r;
    } else {
        let i = vec3<i32>(clamp(floor(q + 0.5), vec3<f32>(0.0), n - 1.0));
        stored = textureLoad(image, i, 0).r;
    }
    return stored * u.value.x + u.value.y;
}

@fragment
fn image_layer(v: Corner) -> @location(0) vec4<f32> {
    let px = pixel(v);
    if (!is_drawn(v, px)) {
        return vec4<f32>(0.0);
    }
    var p = u.origin.xyz + u.du.xyz * px.x + u.dv.xyz * px.y;
    let n = i32(v.steer.z);
    let mode = v.steer.w;
    var value = 0.0;
    var count = 0.0;
    for (var i = 0; i < n; i++) {
        if (!is_outside(p)) {
            let s = value_at(v, p);
            if (count < 0.5 || (mode > 0.5 && mode < 1.5 && s > value) || (mode > 1.5 && s < value)) {
                value = s;
            } else if (mode < 0.5) {
                value += s;
            }
            count += 1.0;
        }
        p += u.dw.xyz;
    }
    if (count < 0.5) {
        return vec4<f32>(0.0);
    }
    if (mode < 0.5) {
        value /= count;
    }
    let t = clamp((value - u.value.z) * u.value.w, 0.0, 1.0);
    let color = textureSampleLevel(colors, linear, vec2<f32>((t * 255.0 + 0.5) / 256.0, 0.5), 0.0);
    var rgb = color.rgb;
    var alpha = color.a;
    if (v.edge.y > 0.0 && value >= u.highlight.x && value <= u.highlight.y) {
        rgb = mix(rgb, u.highlight_rgb.rgb, u.highlight.z);
        alpha = max(alpha, u.highlight.z);
    }
    return to_target(v, rgb, alpha * u.style.x, u.style.y);
}

fn id_at(px: vec2<f32>) -> u32 {
    let p = u.origin.xyz + u.du.xyz * px.x + u.dv.xyz * px.y;
    if (is_outside(p)) {
        return 0u;
    }
    let i = vec3<i32>(floor(p + 0.5 - u.shift.xyz));
    let n = vec3<i32>(textureDimensions(ids));
    return textureLoad(ids, clamp(i, vec3<i32>(0), n - 1), 0).r;
}

@fragment
fn label_layer(v: Corner) -> @location(0) vec4<f32> {
    let px = pixel(v);
    let id = id_at(px);
    if (id == 0u) {
        return vec4<f32>(0.0);
    }
    let color = textureLoad(colors, vec2<i32>(i32(id & 255u), i32(id >> 8u)), 0);
    if (color.a <= 0.0) {
        return vec4<f32>(0.0);
    }
    var alpha = u.label.x;
    let w = v.edge.x;
    if (w > 0.0) {
        // Pixels of this area within w of another id: the part of the last ring counts by its share.
        var share = 0.0;
        for (var r = 1.0; r < w + 1.0; r += 1.0) {
            let d = r * 0.70710678;
            if (id_at(px + vec2<f32>(r, 0.0)) != id || id_at(px - vec2<f32>(r, 0.0)) != id
                || id_at(px + vec2<f32>(0.0, r)) != id || id_at(px - vec2<f32>(0.0, r)) != id
                || id_at(px + vec2<f32>(d, d)) != id || id_at(px - vec2<f32>(d, d)) != id
                || id_at(px + vec2<f32>(d, -d)) != id || id_at(px + vec2<f32>(-d, d)) != id) {
                share = clamp(w + 1.0 - r, 0.0, 1.0);
                break;
            }
        }
        alpha = mix(alpha, max(alpha, u.label.z), share);
    }
    return to_target(v, color.rgb, alpha * color.a, 0.0);
}
