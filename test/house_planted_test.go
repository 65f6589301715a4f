package test_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A plantedTree breaks one rule at the places in want, and shows beside them what the rule lets pass.
type plantedTree struct {
	files map[string]string
	want  []string
}

// plant writes the files into a folder of the test's own and reads it as a house.
func plant(t *testing.T, files map[string]string) house {
	t.Helper()

	root := t.TempDir()

	for name, content := range files {
		name = filepath.Join(root, filepath.FromSlash(name))

		if err := os.MkdirAll(filepath.Dir(name), 0o750); err != nil {
			t.Fatal(err)
		}

		if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}

	h, err := readHouse(root)
	if err != nil {
		t.Fatal(err)
	}

	return h
}

// source is a Go file of package name that imports the given paths.
func source(name string, imports ...string) string {
	var b strings.Builder

	fmt.Fprintf(&b, "// Package %s is planted.\npackage %s\n", name, name)

	for _, path := range imports {
		fmt.Fprintf(&b, "import _ %q\n", path)
	}

	return b.String()
}

func plantedTrees() map[string]plantedTree {
	return map[string]plantedTree{
		"every package stands on a floor": {
			files: map[string]string{
				"pkg/events/events.go":           source("events"),
				"pkg/handlers/acme/acme.go":      source("acme"),
				"cmd/worker/main.go":             source("main"),
				"test/faults/faults.go":          source("faults"),
				"internal/cellar/cellar.go":      source("cellar"),
				"pkg/handlers/acme/deep/deep.go": source("deep"),
				"nested/go.mod":                  "module nested",
				"nested/nested.go":               source("nested"),
				"internal/api/testdata/x.go":     source("x"),
			},
			want: []string{"internal/cellar: ", "pkg/handlers/acme/deep: "},
		},
		"imports go down only": {
			files: map[string]string{
				"pkg/events/up.go":                source("events", module+"/pkg/client"),
				"pkg/handlers/acme/sideways.go":   source("acme", module+"/pkg/handlers/other"),
				"pkg/handlers/acme/down.go":       source("acme", module+"/pkg/handlers", module+"/pkg/handlers/signature"),
				"pkg/handlers/acme/acme_test.go":  source("acme_test", module+"/pkg/handlers/handlerstest", module+"/pkg/handlers/acme"),
				"internal/broker/broker_test.go":  source("broker_test", module+"/internal/broker/embedded"),
				"internal/broker/broker.go":       source("broker", module+"/internal/broker/embedded"),
				"pkg/handlers/signature/up.go":    source("signature", module+"/pkg/handlers"),
				"internal/store/store_test.go":    source("store_test", module+"/internal/api"),
				"internal/api/main_is_above.go":   source("api", module),
				"cmd/worker/main_imports_root.go": source("main", module),
			},
			want: []string{
				"pkg/events/up.go:3: ", "pkg/handlers/acme/sideways.go:3: ", "internal/broker/broker.go:3: ",
				"pkg/handlers/signature/up.go:3: ", "internal/store/store_test.go:3: ", "internal/api/main_is_above.go:3: ",
			},
		},
		"only the broker speaks NATS": {
			files: map[string]string{
				"internal/broker/broker.go":            source("broker", "github.com/nats-io/nats.go"),
				"internal/broker/embedded/embedded.go": source("embedded", "github.com/nats-io/nats-server/v2/server"),
				"test/end_to_end_test.go":              source("test_test", "github.com/nats-io/nats.go"),
				"internal/brokerage/brokerage.go":      source("brokerage", "github.com/nats-io/nats.go"),
				"internal/worker/worker_test.go":       source("worker_test", "github.com/nats-io/nats.go/jetstream"),
			},
			want: []string{"internal/brokerage/brokerage.go:3: ", "internal/worker/worker_test.go:3: "},
		},
		"a platform is reached only through its handler's HTTP client": {
			files: map[string]string{
				"pkg/handlers/acme/given.go": "package acme\nimport \"net/http\"\nfunc f(c *http.Client) { c.Get(http.MethodGet) }\n",
				"pkg/handlers/acme/own.go": "package acme\nimport web \"net/http\"\nimport \"net\"\n" +
					"var a = &web.Client{}\nvar b = new(web.Client)\nvar c = web.DefaultClient\nvar d = web.Post\nvar e = net.Dial\n",
				"pkg/handlers/acme/sub/own.go":   "package sub\nimport \"net/http\"\nvar a http.Client\n",
				"pkg/handlers/acme/own_test.go":  "package acme\nimport \"net/http\"\nvar z http.Client\n",
				"pkg/handlers/own.go":            "package handlers\nimport \"net/http\"\nvar z http.Client\n",
				"pkg/handlers/signature/own.go":  "package signature\nimport \"net/http\"\nvar z http.Client\n",
				"internal/worker/make_client.go": "package worker\nimport \"net/http\"\nvar z http.Client\n",
			},
			want: []string{
				"pkg/handlers/acme/own.go:4: ", "pkg/handlers/acme/own.go:5: ", "pkg/handlers/acme/own.go:6: ",
				"pkg/handlers/acme/own.go:7: ", "pkg/handlers/acme/own.go:8: ", "pkg/handlers/acme/sub/own.go:3: ",
			},
		},
		"a file holds one idea": {
			files: map[string]string{
				"a/full.go":      "package a\n" + strings.Repeat("\n", maxLines-1),
				"a/over.go":      "package a\n" + strings.Repeat("\n", maxLines),
				"a/over_test.go": "package a\n" + strings.Repeat("\n", maxLines),
			},
			want: []string{"a/over.go: ", "a/over_test.go: "},
		},
		"a package fits in a head": {files: manyFiles(), want: []string{"large: 21 files"}},
		"a name tells what is inside": {
			files: map[string]string{
				"internal/utils/strings.go": source("utils"),
				"pkg/events/helpers.go":     source("events"),
				"pkg/events/types_test.go":  source("events_test"),
				"pkg/events/shared.go":      source("events"),
				"internal/shared/code.go":   source("shared"),
			},
			want: []string{"internal/utils: ", "internal/shared: ", "pkg/events/helpers.go: ", "pkg/events/types_test.go: "},
		},
		"every package says what it is": {
			files: map[string]string{
				"good/good.go":      source("good"),
				"good/second.go":    "package good\n",
				"cmd/x/main.go":     "// X runs.\npackage main\n",
				"tests/one_test.go": "package tests_test\n",
				"bare/bare.go":      "package bare\n",
				"bare/bare_test.go": source("bare_test"),
				"wrong/wrong.go":    "// It does things.\npackage wrong\n",
			},
			want: []string{"bare: ", "wrong: "},
		},
		"tests wait for events, not for time": {
			files: map[string]string{
				"a/a.go":      "package a\nimport \"time\"\nfunc f() { time.Sleep(1) }\n",
				"a/a_test.go": "package a\nimport \"time\"\nfunc g() { time.Sleep(1); time.Now() }\n",
				"a/b_test.go": "package a\nimport clock \"time\"\nvar sleep = clock.Sleep\n",
			},
			want: []string{"a/a_test.go:3: ", "a/b_test.go:3: "},
		},
		"every direct dependency has a reason": {
			files: map[string]string{
				"go.mod": "module x\n\ngo 1.26.0\n\nrequire example.org/single v1.0.0\n\nrequire (\n\texample.org/explained v1.2.3\n" +
					"\texample.org/moved v1.1.0\n\texample.org/unexplained v1.0.0\n\texample.org/far v0.1.0 // indirect\n)\n",
				"docs/dependencies.md": "| module | version | why |\n|---|---|---|\n| `example.org/explained` | v1.2.3 | is needed |\n" +
					"| `example.org/moved` | v1.0.0 | is needed |\n| `example.org/gone` | v1.0.0 | was needed |\n",
			},
			want: []string{"example.org/single: ", "example.org/unexplained: ", "example.org/moved: ", "example.org/gone: "},
		},
		"no file knows its author's machine": {
			files: map[string]string{
				"docs/relative.md": "./work/x, pkg/work/x, https://example.org/root/x, ~/work/x, /workspace/x, /home/x\n",
				"docs/absolute.md": "see\n`/" + "work/main/x`\n",
				"script":           "cd /" + "root/x\n",
				"data.json":        `{"file":"/` + `home/someone/x","url":"file:` + `///` + `root/x"}`,
				"picture.bin":      "\x00 /" + "work/x",
			},
			want: []string{"docs/absolute.md:2: ", "script:1: ", "data.json:1: "},
		},
	}
}

func manyFiles() map[string]string {
	files := map[string]string{}

	for i := range maxFiles + 1 {
		files[fmt.Sprintf("large/file%d.go", i)] = source("large")
		files[fmt.Sprintf("large/file%d_test.go", i)] = source("large")
	}

	for i := range maxFiles {
		files[fmt.Sprintf("full/file%d.go", i)] = source("full")
	}

	return files
}
