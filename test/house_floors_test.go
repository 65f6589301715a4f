package test_test

import (
	"fmt"
	"go/ast"
	"path"
	"slices"
	"strings"
)

// A floor holds packages that do not know each other; each may import what stands on the floors below.
// "*" stands for one folder name, "..." at the end for any depth. A package named outright stands where it is named.
type floor struct {
	holds    string
	packages []string
}

// platforms matches the package of each platform: the direct children of pkg/handlers that no floor names.
const platforms = "pkg/handlers/*"

// floors is the house, lowest first: docs/design.md argues for it.
func floors() []floor {
	return []floor{
		{"the contract on the wire; a process's health and metrics", []string{"pkg/events", "internal/ops"}},
		{"what an integration or a bot may ask", []string{"pkg/client"}},
		{"the only packages that speak NATS", []string{"internal/broker", "internal/broker/embedded"}},
		{"a broker for a test, on a real NATS", []string{"internal/broker/brokertest"}},
		{"what a platform's requests are verified and faked with, and texts fitted into", []string{"pkg/handlers/signature", "pkg/handlers/fake", "pkg/handlers/texts"}},
		{"what an integration is written with; what is stored", []string{"pkg/handlers", "internal/store"}},
		{"what a platform's HTTP API is called with, and bodies read that nobody described", []string{"pkg/handlers/rest", "pkg/handlers/open"}},
		{"the platforms, and integrations behind HTTP", []string{platforms, "pkg/handlers/remote"}},
		{"which integrations there are and who has installed them", []string{"pkg/handlers/catalog", "internal/config"}},
		{"one operation of one integration; when it may run", []string{"internal/dispatch", "internal/pace"}},
		{"the processes' work", []string{"internal/ingest", "internal/worker", "internal/api", "internal/replay"}},
		{"the verbs; the kit for an integration's tests", []string{"internal/cli", "pkg/handlers/handlerstest"}},
		{"what a user's own binary calls", []string{"."}},
		{"the binaries", []string{"cmd/*"}},
		{"what starts the binaries for a test", []string{"test/system"}},
		{"the tests of the whole", []string{"test", "test/..."}},
	}
}

// forTests may be imported by every test, from whatever floor.
func forTests() map[string]string {
	return map[string]string{
		"internal/broker/embedded":   "tests run against a real NATS",
		"internal/broker/brokertest": "so do the tests of what stands on the broker",
		"pkg/handlers/handlerstest":  "it is made to be imported by the tests of platforms",
		"pkg/handlers/fake":          "it is made to stand in for a platform in tests",
	}
}

// floorOf returns the height of a package, and the pattern that put it there.
func floorOf(folder string) (height int, pattern string, ok bool) {
	height = -1

	for i, f := range floors() {
		for _, p := range f.packages {
			if p == folder {
				return i, p, true
			}

			if matches(p, folder) {
				height, pattern = i, p
			}
		}
	}

	return height, pattern, height >= 0
}

func matches(pattern, folder string) bool {
	if parent, ok := strings.CutSuffix(pattern, "/..."); ok {
		return strings.HasPrefix(folder, parent+"/")
	}

	ok, err := path.Match(pattern, folder)

	return ok && err == nil
}

func homelessPackages(h house) []string {
	var found []string

	folders, _ := h.packages()
	for _, folder := range folders {
		if _, _, ok := floorOf(folder); !ok {
			found = append(found, folder+": stands on no floor: add it to floors() in test/house_floors_test.go, "+
				"as low as its imports allow")
		}
	}

	return found
}

func importsUpward(h house) []string {
	var found []string

	for _, f := range h.source {
		from, _, ok := floorOf(f.folder)
		if !ok {
			continue // homelessPackages says so
		}

		for _, spec := range f.syntax.Imports {
			target, ok := inModule(importPath(spec))
			if !ok || target == f.folder {
				continue
			}

			if f.isTest && forTests()[target] != "" {
				continue
			}

			if to, _, ok := floorOf(target); ok && to >= from {
				found = append(found, fmt.Sprintf("%s: %s (%s) imports %s (%s), which does not stand below it: "+
					"move what is needed down, or pass it in", f.at(spec), f.folder, floors()[from].holds, target, floors()[to].holds))
			}
		}
	}

	return found
}

// inModule turns an import path of this module into a folder.
func inModule(imported string) (string, bool) {
	if imported == module {
		return ".", true
	}

	return strings.CutPrefix(imported, module+"/")
}

func natsOutsideBroker(h house) []string {
	var found []string

	for _, f := range h.source {
		if within(f.folder, "internal/broker") || within(f.folder, "test") {
			continue
		}

		for _, spec := range f.syntax.Imports {
			if strings.HasPrefix(importPath(spec), "github.com/nats-io/") {
				found = append(found, f.at(spec)+": imports NATS: only internal/broker may, so ask it for what is missing there")
			}
		}
	}

	return found
}

func within(folder, parent string) bool {
	return folder == parent || strings.HasPrefix(folder, parent+"/")
}

// ownHTTPClients looks for a platform's ways around its handler's HTTP client, which limits, traces and records.
func ownHTTPClients(h house) []string {
	var found []string

	for _, f := range h.source {
		if f.isTest || !inPlatform(f.folder) {
			continue
		}

		ways := f.uses("net/http", "DefaultClient", "DefaultTransport", "Get", "Head", "Post", "PostForm", "Transport")
		ways = append(ways, clientValues(f)...)
		ways = append(ways, f.uses("net", "Dial", "DialTimeout", "DialTCP", "DialUDP", "DialUnix", "Dialer")...)
		ways = append(ways, f.uses("crypto/tls", "Dial", "DialWithDialer", "Dialer")...)

		for _, way := range ways {
			found = append(found, f.at(way)+": reaches out by itself: use the HTTP client in the handler's props")
		}
	}

	return found
}

// inPlatform tells whether a folder is a platform's or below one.
func inPlatform(folder string) bool {
	for ; folder != "."; folder = path.Dir(folder) {
		if _, pattern, ok := floorOf(folder); ok {
			return pattern == platforms
		}
	}

	return false
}

// clientValues finds each http.Client that is not behind a pointer: whoever writes one is making a client.
func clientValues(f goFile) []*ast.SelectorExpr {
	var pointed []ast.Expr

	ast.Inspect(f.syntax, func(node ast.Node) bool {
		if star, ok := node.(*ast.StarExpr); ok {
			pointed = append(pointed, star.X)
		}

		return true
	})

	return slices.DeleteFunc(f.uses("net/http", "Client"), func(selector *ast.SelectorExpr) bool {
		return slices.Contains(pointed, ast.Expr(selector))
	})
}
