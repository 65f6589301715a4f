package replay

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

// between are the packages that stand between a handler and what answers it.
var between = []string{
	"github.com/towpath/towpath/internal/replay.", "github.com/towpath/towpath/internal/dispatch.",
	"github.com/towpath/towpath/pkg/client.", "github.com/towpath/towpath/pkg/events.",
	"github.com/towpath/towpath/pkg/handlers.", "github.com/towpath/towpath/pkg/handlers/rest.",
	"net/http.", "runtime.", "sync.", "reflect.",
}

// callerLine is the line of the handler's that asked for something.
func callerLine() string {
	counters := make([]uintptr, 64)
	frames := runtime.CallersFrames(counters[:runtime.Callers(2, counters)])
	for {
		frame, more := frames.Next()
		if frame.File != "" && !isBetween(frame.Function) {
			return short(frame)
		}
		if !more {
			return ""
		}
	}
}

func isBetween(function string) bool {
	for _, prefix := range between {
		if strings.HasPrefix(function, prefix) {
			return true
		}
	}
	return false
}

// short is a place in the code as somebody who stands in the working directory
// would name it.
func short(frame runtime.Frame) string {
	name := filepath.Join(filepath.Base(filepath.Dir(frame.File)), filepath.Base(frame.File))
	if here, err := os.Getwd(); err == nil {
		if below, err := filepath.Rel(here, frame.File); err == nil && !strings.HasPrefix(below, "..") {
			name = below
		}
	}
	return fmt.Sprintf("%s:%d", name, frame.Line)
}
