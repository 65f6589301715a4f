package test_test

import (
	"bytes"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
)

const (
	maxLines = 400 // of a file
	maxFiles = 20  // of a package, tests aside
)

func longFiles(h house) []string {
	var found []string

	for _, f := range h.source {
		if f.lines > maxLines {
			found = append(found, fmt.Sprintf("%s: %d lines, more than %d: split it by idea", f.path, f.lines, maxLines))
		}
	}

	return found
}

func largePackages(h house) []string {
	var found []string

	folders, files := h.packages()
	for _, folder := range folders {
		if n := len(files[folder]); n > maxFiles {
			found = append(found, fmt.Sprintf("%s: %d files, more than %d: it holds more than one idea", folder, n, maxFiles))
		}
	}

	return found
}

// emptyNames finds packages and files that are named after nothing in particular, and so attract everything.
func emptyNames(h house) []string {
	empty := []string{"util", "utils", "common", "helper", "helpers", "models", "types", "misc"}

	var found []string

	folders, _ := h.packages()
	for _, folder := range folders {
		if slices.Contains(append(empty, "base", "shared"), path.Base(folder)) {
			found = append(found, folder+": the name says nothing: name it after what it provides")
		}
	}

	for _, f := range h.source {
		name := strings.TrimSuffix(strings.TrimSuffix(path.Base(f.path), ".go"), "_test")
		if slices.Contains(empty, name) {
			found = append(found, f.path+": the name says nothing: name it after what it holds")
		}
	}

	return found
}

func undocumentedPackages(h house) []string {
	var found []string

	folders, files := h.packages()
	for _, folder := range folders {
		documented := slices.ContainsFunc(files[folder], func(f goFile) bool {
			doc, name := f.syntax.Doc.Text(), f.syntax.Name.Name

			return strings.HasPrefix(doc, "Package "+name+" ") || name == "main" && doc != ""
		})

		if len(files[folder]) > 0 && !documented {
			found = append(found, folder+`: no package comment: say in one sentence, "Package x ...", what it is for`)
		}
	}

	return found
}

func sleepingTests(h house) []string {
	var found []string

	for _, f := range h.source {
		if !f.isTest {
			continue
		}

		for _, sleep := range f.uses("time", "Sleep") {
			found = append(found, f.at(sleep)+": sleeps: wait for the event on a channel, or use testing/synctest")
		}
	}

	return found
}

// unexplainedDependencies holds go.mod against docs/dependencies.md, both ways: what is required directly has a row with
// its version, and no row outlives its dependency.
func unexplainedDependencies(h house) []string {
	const page = "docs/dependencies.md"

	rows := map[string]string{}

	for line := range strings.Lines(string(h.read(page))) {
		if match := regexp.MustCompile("^\\| `([^`]+)` \\|").FindStringSubmatch(line); match != nil {
			rows[match[1]] = line
		}
	}

	var found []string

	for _, required := range requirements(h.read("go.mod")) {
		row, ok := rows[required.path]
		delete(rows, required.path)

		switch {
		case !ok && !required.indirect:
			found = append(found, required.path+": no row in "+page+": say there what it is for and why not the standard library")
		case ok && !strings.Contains(row, "| "+required.version+" |"):
			found = append(found, required.path+": "+page+" names another version than go.mod's "+required.version)
		}
	}

	for stale := range rows {
		found = append(found, stale+": go.mod does not require it any more: delete its row in "+page)
	}

	return found
}

type requirement struct {
	path, version string
	indirect      bool
}

// requirements reads the require lines of a go.mod that the go command has formatted.
func requirements(mod []byte) []requirement {
	line := regexp.MustCompile(`(?m)^(?:require )?\s*(\S+\.\S+/\S+) (v\S+)(.*)$`)

	var all []requirement
	for _, match := range line.FindAllSubmatch(mod, -1) {
		all = append(all, requirement{string(match[1]), string(match[2]), bytes.Contains(match[3], []byte("// indirect"))})
	}

	return all
}

// machinePaths finds absolute paths of home and work folders: they are true on one machine only, and tell whose it was.
func machinePaths(h house) []string {
	// Written so that this file does not hold what it looks for.
	folders := regexp.MustCompile(`(?:^|[^\w./~-]|file:/{2})/(?:work|` + `root|` + `home/[a-z][\w.-]*)/`)

	var found []string

	for _, name := range h.text {
		content := h.read(name)
		if bytes.IndexByte(content, 0) >= 0 {
			continue // not text
		}

		number := 0
		for line := range bytes.Lines(content) {
			number++

			if match := folders.Find(line); match != nil {
				found = append(found, fmt.Sprintf("%s:%d: holds a path of somebody's machine (%s…): make it relative, or a variable",
					name, number, bytes.TrimSpace(match)))
			}
		}
	}

	return found
}
