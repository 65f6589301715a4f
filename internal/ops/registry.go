package ops

import (
	"cmp"
	"runtime"
	"runtime/debug"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

const module = "github.com/towpath/towpath"

// NewRegistry returns a registry with the Go runtime's and the process's
// metrics and the gauge towpath_build_info, always 1, whose labels are the
// component ("worker"), the version of Towpath in this binary, the revision it
// was built from and the Go version.
func NewRegistry(component string) *prometheus.Registry {
	reg := prometheus.NewRegistry()
	version, revision := build()
	info := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "towpath_build_info",
		Help: "Always 1; the labels say what is running.",
		ConstLabels: prometheus.Labels{
			"component": component, "version": version, "revision": revision, "go_version": runtime.Version(),
		},
	})
	info.Set(1)
	reg.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), info)
	return reg
}

// build reads what the linker noted. In a user's own binary Towpath is not the
// main module but one of its dependencies, and the revision is the user's.
func build() (version, revision string) {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown", "unknown"
	}
	version = info.Main.Version
	for _, dep := range info.Deps {
		if dep.Path == module {
			version = dep.Version
		}
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			revision = s.Value
		}
	}
	return cmp.Or(version, "unknown"), cmp.Or(revision, "unknown")
}
