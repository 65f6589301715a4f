package handlerstest

import (
	"bytes"
	"strings"
	"sync"
	"testing"

	"github.com/sirupsen/logrus"
)

// diary keeps what handlers log, and watches that no secret is in it.
type diary struct {
	all, owner *logrus.Logger
	secrets    []string

	mu     sync.Mutex
	text   bytes.Buffer // every line since the last look
	toldTo []string     // the bot's owner
}

func newDiary() *diary {
	d := &diary{all: logrus.New(), owner: logrus.New()}
	for _, logger := range []*logrus.Logger{d.all, d.owner} {
		logger.SetLevel(logrus.DebugLevel)
		logger.SetFormatter(&logrus.JSONFormatter{DisableHTMLEscape: true})
		logger.SetOutput(d)
	}
	d.owner.AddHook(ownerHook{d})
	return d
}

// Write implements io.Writer.
func (d *diary) Write(p []byte) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.text.Write(p)
}

type ownerHook struct{ *diary }

// Levels implements logrus.Hook.
func (ownerHook) Levels() []logrus.Level { return logrus.AllLevels }

// Fire implements logrus.Hook.
func (h ownerHook) Fire(e *logrus.Entry) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.toldTo = append(h.toldTo, e.Message)
	return nil
}

// take returns what the bot's owner was told since it was last asked.
func (d *diary) take() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	told := d.toldTo
	d.toldTo = nil
	return told
}

// watch fails the test when a secret is in the log or in an outcome.
func (d *diary) watch(tb testing.TB, told ...string) {
	tb.Helper()
	d.mu.Lock()
	log := d.text.String()
	d.text.Reset()
	d.mu.Unlock()
	for _, secret := range d.secrets {
		if strings.Contains(log, secret) {
			tb.Errorf("the log tells a secret of the configuration: %s", strings.ReplaceAll(log, secret, "<HERE>"))
		}
		for _, text := range told {
			if strings.Contains(text, secret) {
				tb.Errorf("an error tells a secret of the configuration: %s", strings.ReplaceAll(text, secret, "<HERE>"))
			}
		}
	}
}
