package host

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"muster/internal/check"
)

// fileText gives the trimmed content of a small file, or "".
func fileText(elements ...string) string {
	b, err := os.ReadFile(filepath.Join(elements...))
	if err != nil || len(b) > 64<<10 {
		return ""
	}
	return strings.TrimSpace(strings.ToValidUTF8(string(bytes.Trim(b, "\x00")), ""))
}

func (h *Host) platformFacts(_ context.Context, set func(key, value string), facts *check.Facts) {
	facts.BootID = fileText(h.options.Proc, "sys/kernel/random/boot_id")
	set("host.id", fileText(h.options.Etc, "machine-id"))
	release := osRelease(fileText(h.options.Etc, "os-release"))
	set("os.name", release["NAME"])
	set("os.version", release["VERSION_ID"])
	set("os.description", release["PRETTY_NAME"])
	set("os.id", release["ID"])
	set("os.kernel.release", kernelRelease())
	cpuinfo := fileText(h.options.Proc, "cpuinfo")
	set("host.cpu.model.name", cpuField(cpuinfo, "model name", "Model", "Hardware"))
	set("host.cpu.vendor.id", cpuField(cpuinfo, "vendor_id", "CPU implementer"))
	if total := h.memoryTotal(); total > 0 {
		set("system.memory.limit", strconv.FormatInt(total, 10))
	}
	dmi := h.dmi()
	set("device.manufacturer", dmi.vendor)
	set("device.model.name", dmi.product)
	virtual := h.virtualization(dmi, cpuinfo)
	set("host.virtualization", virtual)
	if provider, platform := dmi.cloud(); provider != "" {
		set("cloud.provider", provider)
		set("cloud.platform", platform)
		if provider == "aws" {
			set("host.type", dmi.product)
			if strings.HasPrefix(dmi.board, "i-") {
				set("host.id", dmi.board)
			}
		}
	}
}

func (h *Host) memoryTotal() int64 {
	list := named("MemTotal:")
	readNamed(text(fileText(h.options.Proc, "meminfo")), list)
	if v := list[0].value; v > 0 {
		return int64(v) * 1024
	}
	return 0
}

// osRelease reads KEY=value lines, the value quoted or not.
func osRelease(content string) map[string]string {
	values := map[string]string{}
	for line := range strings.Lines(content) {
		key, value, ok := strings.Cut(strings.TrimSpace(line), "=")
		if ok && !strings.HasPrefix(key, "#") {
			values[key] = strings.ReplaceAll(strings.Trim(value, `"'`), `\`, "")
		}
	}
	return values
}

// cpuField gives the value of the first of the keys that cpuinfo has.
func cpuField(cpuinfo string, keys ...string) string {
	for _, want := range keys {
		for line := range strings.Lines(cpuinfo) {
			key, value, ok := strings.Cut(line, ":")
			if ok && strings.TrimSpace(key) == want {
				return strings.Join(strings.Fields(value), " ")
			}
		}
	}
	return ""
}

func kernelRelease() string {
	var name syscall.Utsname
	if syscall.Uname(&name) != nil {
		return ""
	}
	var b strings.Builder
	for _, c := range name.Release {
		if c == 0 {
			break
		}
		b.WriteByte(byte(c))
	}
	return b.String()
}

// dmi is what the firmware says of the machine; clouds put their names there.
type dmi struct{ vendor, product, board, chassis, bios string }

func (h *Host) dmi() dmi {
	read := func(name string) string { return fileText(h.options.Sys, "class/dmi/id", name) }
	d := dmi{
		vendor: read("sys_vendor"), product: read("product_name"), board: read("board_asset_tag"),
		chassis: read("chassis_asset_tag"), bios: read("bios_vendor"),
	}
	if d.product == "" { // machines without DMI may have a device tree
		d.product = fileText(h.options.Proc, "device-tree/model")
	}
	return d
}

// cloud names the provider and its platform as OpenTelemetry does, where it does.
func (d dmi) cloud() (provider, platform string) {
	const azureChassis = "7783-7084-3265-9085-8269-3286-77"
	for _, known := range []struct {
		in, sign, provider, platform string
	}{
		{d.vendor, "Amazon EC2", "aws", "aws_ec2"}, {d.bios, "Amazon EC2", "aws", "aws_ec2"},
		{d.product, "Google Compute Engine", "gcp", "gcp_compute_engine"},
		{d.chassis, azureChassis, "azure", "azure_vm"},
		{d.vendor, "Hetzner", "hetzner", "hetzner.cloud_server"},
		{d.vendor, "DigitalOcean", "digitalocean", ""}, {d.vendor, "Vultr", "vultr", ""},
		{d.vendor, "Linode", "akamai_cloud", "akamai_cloud.compute"}, {d.vendor, "Akamai", "akamai_cloud", "akamai_cloud.compute"},
		{d.vendor, "Scaleway", "scaleway", ""}, {d.vendor, "Exoscale", "exoscale", ""}, {d.vendor, "UpCloud", "upcloud", ""},
		{d.vendor, "Alibaba Cloud", "alibaba_cloud", "alibaba_cloud_ecs"}, {d.vendor, "Tencent Cloud", "tencent_cloud", "tencent_cloud_cvm"},
		{d.vendor, "OracleCloud", "oracle_cloud", "oracle_cloud_compute"}, {d.chassis, "OracleCloud", "oracle_cloud", "oracle_cloud_compute"},
		{d.vendor, "OpenStack", "openstack", ""}, {d.product, "OpenStack", "openstack", ""}, {d.chassis, "OpenStack", "openstack", ""},
	} {
		if strings.HasPrefix(known.in, known.sign) {
			return known.provider, known.platform
		}
	}
	return "", ""
}

// virtualization names what the machine runs on: a container's kind, a hypervisor, "vm" for one that
// hides its name, "none" for bare metal.
func (h *Host) virtualization(d dmi, cpuinfo string) string {
	if kind := fileText("/run/systemd/container"); kind != "" {
		return kind
	}
	for file, kind := range map[string]string{"/.dockerenv": "docker", "/run/.containerenv": "podman"} {
		if _, err := os.Stat(file); err == nil {
			return kind
		}
	}
	for _, known := range []struct{ sign, kind string }{
		{"KVM", "kvm"}, {"QEMU", "kvm"}, {"Amazon EC2", "kvm"}, {"Google", "kvm"}, {"VMware", "vmware"},
		{"VirtualBox", "virtualbox"}, {"innotek", "virtualbox"}, {"Xen", "xen"}, {"Microsoft Corporation", "hyperv"},
		{"Parallels", "parallels"}, {"OpenStack", "kvm"}, {"Hetzner", "kvm"}, {"DigitalOcean", "kvm"}, {"BHYVE", "bhyve"},
	} {
		for _, text := range []string{d.vendor, d.product, d.bios} {
			if strings.Contains(text, known.sign) && (known.kind != "hyperv" || strings.HasPrefix(d.product, "Virtual")) {
				return known.kind
			}
		}
	}
	if fileText(h.options.Sys, "hypervisor/type") == "xen" {
		return "xen"
	}
	if strings.Contains(cpuinfo, " hypervisor") {
		return "vm"
	}
	return "none"
}

// defaultInterface names the interface of the default route, or "".
func (h *Host) defaultInterface() string {
	for line := range strings.Lines(fileText(h.options.Proc, "net/route")) {
		fields := strings.Fields(line)
		if len(fields) > 7 && fields[1] == "00000000" && fields[7] == "00000000" {
			return fields[0]
		}
	}
	return ""
}
