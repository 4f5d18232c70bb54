//! Choice of a device, and the wrapper that the rest of the program draws and computes with.
//!
//! The environment variables of wgpu are heard: `WGPU_BACKEND` (vulkan, gl, metal, dx12) and
//! `WGPU_ADAPTER_NAME` (part of a name).

use std::sync::OnceLock;

use serde::{Deserialize, Serialize};

/// Which device to use, as `--device` spells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DeviceChoice {
    /// A graphics card if there is one, else a software driver, else the processor.
    #[default]
    Auto,
    /// The processor: no driver is touched.
    Cpu,
    /// A graphics device through its driver; it is an error if there is none.
    Gpu,
}

/// What is wrong with the device.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GpuError {
    /// No driver offers a device.
    #[error(
        "no graphics device was found ({detail}): install a Vulkan driver (a software one will do, such as mesa-vulkan-drivers), or use --device cpu"
    )]
    NoAdapter {
        /// What the driver layer said.
        detail: String,
    },
    /// A device is there but refuses to start.
    #[error("the graphics device {name} could not be started: {detail}")]
    NoDevice {
        /// Name of the device.
        name: String,
        /// What the driver said.
        detail: String,
    },
    /// The user asked for the processor.
    #[error("the processor was asked for (--device cpu): no graphics device is used")]
    CpuAsked,
}

/// What is known of a device; for the About page, logs and provenance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GpuInfo {
    /// Name of the device.
    pub name: String,
    /// Way to it: vulkan, gl, metal, dx12.
    pub backend: String,
    /// Driver and its version.
    pub driver: String,
    /// Whether the "device" is the processor in disguise.
    pub is_software: bool,
    /// Longest edge of a 3-D texture in voxels.
    pub max_texture_3d: u32,
    /// Longest edge of a picture in pixels.
    pub max_texture_2d: u32,
    /// Whether 32-bit floats can be filtered.
    pub has_float32_filter: bool,
    /// Whether 16-bit normalised textures exist.
    pub has_norm16: bool,
    /// Whether the device can measure its own time.
    pub has_timestamps: bool,
}

/// A device and its queue, with what is known of it. Clones are the same device.
#[derive(Debug, Clone)]
pub struct Gpu {
    /// The device.
    pub device: wgpu::Device,
    /// Its queue.
    pub queue: wgpu::Queue,
    /// What is known of it.
    pub info: GpuInfo,
}

/// Features used where the device has them.
const OPTIONAL_FEATURES: wgpu::Features = wgpu::Features::FLOAT32_FILTERABLE
    .union(wgpu::Features::TEXTURE_FORMAT_16BIT_NORM)
    .union(wgpu::Features::TIMESTAMP_QUERY);

/// What to ask of an adapter: all its limits and the optional features that it has.
///
/// The window hands this to eframe, whose own choice would cap 3-D textures at 2048 (256 on GL).
pub fn device_descriptor(adapter: &wgpu::Adapter) -> wgpu::DeviceDescriptor<'static> {
    wgpu::DeviceDescriptor {
        label: Some("waterwindow"),
        required_features: adapter.features() & OPTIONAL_FEATURES,
        required_limits: adapter.limits(),
        ..Default::default()
    }
}

impl Gpu {
    /// Opens a device without a window.
    ///
    /// # Errors
    /// [`GpuError`] when there is none, it does not start, or the processor was asked for.
    pub fn headless(choice: DeviceChoice) -> Result<Self, GpuError> {
        if choice == DeviceChoice::Cpu {
            return Err(GpuError::CpuAsked);
        }
        Self::open(wgpu::Backends::PRIMARY | wgpu::Backends::GL)
    }

    /// Opens the best device that these ways lead to, or those that the environment names.
    fn open(backends: wgpu::Backends) -> Result<Self, GpuError> {
        pollster::block_on(async {
            let backends = wgpu::Backends::from_env().unwrap_or(backends);
            let instance = wgpu::Instance::new(wgpu::InstanceDescriptor {
                backends,
                ..wgpu::InstanceDescriptor::new_without_display_handle()
            });
            let adapters = instance.enumerate_adapters(backends).await;
            let adapter = best_adapter(adapters)
                .ok_or_else(|| GpuError::NoAdapter { detail: format!("looked at {backends:?}") })?;
            Self::from_adapter(&adapter).await
        })
    }

    /// The device to compute on, opened when it is first asked for and then kept; `None` for the processor.
    ///
    /// [`DeviceChoice::Auto`] takes a graphics card only: a software driver would be slower than the processor. OpenGL
    /// is not looked at.
    ///
    /// # Errors
    /// [`GpuError`] where a device was asked for and there is none.
    pub fn to_compute_on(choice: DeviceChoice) -> Result<Option<&'static Self>, GpuError> {
        static OPEN: OnceLock<Result<Gpu, GpuError>> = OnceLock::new();
        if choice == DeviceChoice::Cpu {
            return Ok(None);
        }
        match (OPEN.get_or_init(|| Self::open(wgpu::Backends::PRIMARY)), choice) {
            (Ok(gpu), DeviceChoice::Gpu) => Ok(Some(gpu)),
            (Ok(gpu), _) => Ok((!gpu.is_software()).then_some(gpu)),
            (Err(error), DeviceChoice::Gpu) => Err(error.clone()),
            (Err(_), _) => Ok(None),
        }
    }

    async fn from_adapter(adapter: &wgpu::Adapter) -> Result<Self, GpuError> {
        let (device, queue) = adapter.request_device(&device_descriptor(adapter)).await.map_err(|error| {
            GpuError::NoDevice { name: adapter.get_info().name, detail: error.to_string() }
        })?;
        Ok(Self::wrap(device, queue, &adapter.get_info()))
    }

    /// Wraps a device that someone else opened (the window), with whatever limits it has.
    pub fn wrap(device: wgpu::Device, queue: wgpu::Queue, adapter: &wgpu::AdapterInfo) -> Self {
        let (limits, features) = (device.limits(), device.features());
        let info = GpuInfo {
            name: adapter.name.clone(),
            backend: adapter.backend.to_string(),
            driver: format!("{} {}", adapter.driver, adapter.driver_info).trim().to_owned(),
            is_software: adapter.device_type == wgpu::DeviceType::Cpu || named_software(&adapter.name),
            max_texture_3d: limits.max_texture_dimension_3d,
            max_texture_2d: limits.max_texture_dimension_2d,
            has_float32_filter: features.contains(wgpu::Features::FLOAT32_FILTERABLE),
            has_norm16: features.contains(wgpu::Features::TEXTURE_FORMAT_16BIT_NORM),
            has_timestamps: features.contains(wgpu::Features::TIMESTAMP_QUERY),
        };
        Self { device, queue, info }
    }

    /// Whether this is a software driver: plan for few frames a second.
    pub fn is_software(&self) -> bool {
        self.info.is_software
    }

    /// Waits until everything submitted so far is done; `false` if the device was lost.
    pub fn wait(&self) -> bool {
        self.device.poll(wgpu::PollType::wait_indefinitely()).is_ok()
    }
}

/// GL reports software rasterisers as "other": the name gives them away.
fn named_software(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    ["llvmpipe", "lavapipe", "softpipe", "swiftshader", "basic render"].iter().any(|s| name.contains(s))
}

/// The named adapter (`WGPU_ADAPTER_NAME`), else discrete before integrated before software.
fn best_adapter(adapters: Vec<wgpu::Adapter>) -> Option<wgpu::Adapter> {
    let wanted = std::env::var("WGPU_ADAPTER_NAME").ok().map(|name| name.to_ascii_lowercase());
    let rank = |adapter: &wgpu::Adapter| {
        let info = adapter.get_info();
        let kind = match info.device_type {
            _ if named_software(&info.name) => 4,
            wgpu::DeviceType::DiscreteGpu => 0,
            wgpu::DeviceType::IntegratedGpu => 1,
            wgpu::DeviceType::VirtualGpu => 2,
            wgpu::DeviceType::Other => 3,
            wgpu::DeviceType::Cpu => 4,
        };
        (kind, u8::from(info.backend == wgpu::Backend::Gl))
    };
    adapters
        .into_iter()
        .filter(|adapter| {
            wanted.as_ref().is_none_or(|name| adapter.get_info().name.to_ascii_lowercase().contains(name))
        })
        .min_by_key(rank)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn asking_for_the_processor_touches_no_driver_and_says_so() {
        let error = Gpu::headless(DeviceChoice::Cpu).unwrap_err();
        assert_eq!(error, GpuError::CpuAsked);
        assert!(error.to_string().contains("--device cpu"));
    }

    #[test]
    fn nobody_computes_on_a_software_driver_unless_asked_to() {
        assert!(Gpu::to_compute_on(DeviceChoice::Cpu).unwrap().is_none());
        let found = Gpu::to_compute_on(DeviceChoice::Auto).unwrap();
        assert!(found.is_none_or(|gpu| !gpu.is_software()));
        match Gpu::to_compute_on(DeviceChoice::Gpu) {
            Ok(gpu) => assert!(gpu.is_some()),
            Err(error) => assert!(matches!(error, GpuError::NoAdapter { .. } | GpuError::NoDevice { .. })),
        }
    }

    #[test]
    fn choices_are_spelt_as_on_the_command_line() {
        for (text, choice) in
            [("\"auto\"", DeviceChoice::Auto), ("\"cpu\"", DeviceChoice::Cpu), ("\"gpu\"", DeviceChoice::Gpu)]
        {
            assert_eq!(serde_json::from_str::<DeviceChoice>(text).unwrap(), choice);
        }
    }

    #[test]
    fn software_drivers_are_known_by_name() {
        assert!(named_software("llvmpipe (LLVM 15.0.6, 256 bits)"));
        assert!(!named_software("NVIDIA H100"));
    }
}
