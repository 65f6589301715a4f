package ops

import (
	"cmp"
	"fmt"
	"io"
	"time"

	"github.com/sirupsen/logrus"
)

const levels = "error, warn, info, debug or trace"

// Logger returns a logger that writes to out in format "text" or "json", from
// the given level up: error, warn, info, debug or trace. An empty format means
// text and an empty level info.
func Logger(format, level string, out io.Writer) (*logrus.Logger, error) {
	l, err := parseLevel(cmp.Or(level, "info"))
	if err != nil {
		return nil, err
	}
	logger := logrus.New()
	logger.SetOutput(out)
	logger.SetLevel(l)
	switch format {
	case "", "text":
		logger.SetFormatter(&logrus.TextFormatter{FullTimestamp: true, TimestampFormat: time.RFC3339Nano})
	case "json":
		logger.SetFormatter(&logrus.JSONFormatter{TimestampFormat: time.RFC3339Nano})
	default:
		return nil, fmt.Errorf("unknown log format %q; use text or json", format)
	}
	return logger, nil
}

// parseLevel leaves out panic and fatal, under which errors would go unseen.
func parseLevel(s string) (logrus.Level, error) {
	level, err := logrus.ParseLevel(s)
	if err != nil || level < logrus.ErrorLevel {
		return 0, fmt.Errorf("unknown log level %q; use %s", s, levels)
	}
	return level, nil
}
