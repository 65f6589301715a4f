package handlers_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Every program in testdata/compile says in its first line what the compiler
// must say about it, "// want: …", or that it is right: "// compiles".
func TestWrongProgramsDoNotCompile(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("runs the compiler")
	}
	programs, err := filepath.Glob(filepath.Join("testdata", "compile", "*.go"))
	if err != nil || len(programs) == 0 {
		t.Fatalf("programs: %v, %v", programs, err)
	}
	for _, program := range programs {
		t.Run(filepath.Base(program), func(t *testing.T) {
			t.Parallel()
			source, err := os.ReadFile(program)
			if err != nil {
				t.Fatal(err)
			}
			first, _, _ := strings.Cut(string(source), "\n")
			out, err := exec.CommandContext(t.Context(), "go", "build", program).CombinedOutput()
			if first == "// compiles" {
				if err != nil {
					t.Errorf("does not compile: %s", out)
				}
				return
			}
			want, ok := strings.CutPrefix(first, "// want: ")
			if !ok {
				t.Fatalf("first line is %q", first)
			}
			if err == nil {
				t.Error("compiles")
			} else if !strings.Contains(string(out), want) {
				t.Errorf("the compiler does not say %q but: %s", want, out)
			}
		})
	}
}
