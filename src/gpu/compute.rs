//! What every method that computes on a device needs.

use super::Gpu;

/// Bytes of the largest buffer that a shader may see.
pub fn largest_buffer(gpu: &Gpu) -> u64 {
    let limits = gpu.device.limits();
    limits.max_buffer_size.min(limits.max_storage_buffer_binding_size)
}

/// A buffer with these contents; to be made within [`watched`], as a device that is lost or full makes an empty shell of it.
pub fn filled(gpu: &Gpu, label: &str, contents: &[u8], usage: wgpu::BufferUsages) -> wgpu::Buffer {
    let buffer = gpu.device.create_buffer(&wgpu::BufferDescriptor {
        label: Some(label),
        size: contents.len() as u64,
        usage: usage | wgpu::BufferUsages::COPY_DST,
        mapped_at_creation: false,
    });
    gpu.queue.write_buffer(&buffer, 0, contents);
    buffer
}

/// Does something on the device; what it complains of becomes an error instead of the end of the program.
///
/// # Errors
/// What the driver said.
pub fn watched<T>(gpu: &Gpu, work: impl FnOnce() -> T) -> Result<T, String> {
    let filters =
        [wgpu::ErrorFilter::Internal, wgpu::ErrorFilter::OutOfMemory, wgpu::ErrorFilter::Validation];
    let scopes = filters.map(|filter| gpu.device.push_error_scope(filter));
    let done = work();
    // The last scope goes first.
    let errors = scopes.into_iter().rev().map(|scope| pollster::block_on(scope.pop()));
    match errors.collect::<Vec<_>>().into_iter().flatten().next() {
        Some(error) => Err(error.to_string()),
        None => Ok(done),
    }
}
