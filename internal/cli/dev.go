package cli

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/towpath/towpath/internal/broker"
	"github.com/towpath/towpath/internal/broker/embedded"
	"github.com/towpath/towpath/internal/config"
	"github.com/towpath/towpath/internal/store"
	"github.com/towpath/towpath/pkg/events"
)

type devCommand struct {
	LogFormat string `enum:"text,json" default:"text" env:"TOWPATH_LOG_FORMAT" help:"text or json."`
	LogLevel  string `default:"warn" env:"TOWPATH_LOG_LEVEL" help:"debug, info, warn or error; can be changed while running at {ops}/loglevel."`
	ingestFlags
	workerFlags
	topologyFlags
	Dir    string `default:".towpath" env:"TOWPATH_DIR" type:"path" help:"Directory of a dev; everything is kept there."`
	Config string `env:"TOWPATH_CONFIG" type:"path" help:"The configuration file; without it, a demo."`
	Ingest string `default:"127.0.0.1:8080" env:"TOWPATH_INGEST_LISTEN" help:"Address for webhooks."`
	API    string `name:"api" default:"127.0.0.1:8081" env:"TOWPATH_API_LISTEN" help:"Address of the API."`
	Ops    string `default:"127.0.0.1:8082" env:"TOWPATH_OPS" help:"Address of /healthz, /readyz and /metrics."`
	NATS   string `name:"nats" default:"127.0.0.1:4222" env:"TOWPATH_NATS_LISTEN" help:"Address of the embedded NATS."`
	Fake   string `default:"127.0.0.1:0" env:"TOWPATH_FAKE_LISTEN" help:"Address of the fake platforms."`
	Hello  bool   `help:"Once everything runs, send the demo one message and show its way to the ack."`
}

// devFile is dev.json: how tools find a running dev.
type devFile struct {
	Ingest        string            `json:"ingest"`
	API           string            `json:"api"`
	Ops           string            `json:"ops"`
	NATS          string            `json:"nats"`
	Fake          string            `json:"fake"`
	Bots          []devBot          `json:"bots"`
	Installations []devInstallation `json:"installations"`
}

type devBot struct {
	ID    string `json:"id"`
	Token string `json:"token"`
}

type devInstallation struct {
	Alias       string `json:"alias"`
	Integration string `json:"integration"`
	WebhookID   string `json:"webhookId"`
	WebhookURL  string `json:"webhookUrl"`
}

const devFileName = "dev.json"

//go:embed demo.yaml
var demoTemplate string

// Run runs everything until ctx ends.
func (c *devCommand) Run(ctx context.Context, p *program) error {
	if c.Hello && c.Config != "" {
		return errors.New("--hello greets the demo, which --config takes the place of: leave one of them out, or send a message with `towpath trigger`")
	}
	if err := os.MkdirAll(c.Dir, 0o700); err != nil {
		return err
	}
	lock, err := lockDir(c.Dir)
	if err != nil {
		return err
	}
	defer lock.Close()
	found := filepath.Join(c.Dir, devFileName)
	if err := os.Remove(found); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err // left by one that was killed
	}
	listeners, err := c.listen()
	if err != nil {
		return err
	}
	file, err := c.load(url(listeners.fake))
	if err != nil {
		return err
	}
	server, err := embedded.Start(embedded.Config{Dir: filepath.Join(c.Dir, "nats"), Listen: c.NATS})
	if err != nil {
		return err
	}
	defer server.Stop()
	platforms := newPlatforms(p.registry)
	defer platforms.Close()
	ctx, n, err := newNode(ctx, p, nodeConfig{role: "dev", broker: broker.Config{InProcess: server.Server}, log: logFlags{c.LogFormat, c.LogLevel}})
	if err != nil {
		return err
	}
	n.serve(ctx, listeners.fake, platforms)
	n.group.Go(func() error {
		<-ctx.Done()
		platforms.Close() // requests that hang would hold the listener open
		return nil
	})
	if err := c.start(ctx, n, listeners, file); err != nil {
		return errors.Join(err, n.stop())
	}
	described := devFile{
		Ingest: url(listeners.ingest), API: url(listeners.api), Ops: url(listeners.ops),
		NATS: server.ClientURL(), Fake: url(listeners.fake),
	}
	if err := c.describe(ctx, n, file, &described); err != nil {
		return errors.Join(err, n.stop())
	}
	echoes := c.Config == "" && len(described.Bots) > 0 // the demo's file invites to be changed
	if echoes {
		n.runEcho(ctx, described.API, described.Bots[0])
	}
	if err := writeDevFile(found, described); err != nil {
		return errors.Join(err, n.stop())
	}
	defer func() { _ = os.Remove(found) }()
	c.greet(p, described, echoes)
	if c.Hello {
		n.group.Go(func() error {
			c.hello(ctx, p)
			return nil
		})
	}
	return n.wait()
}

type devListeners struct{ ingest, api, ops, fake net.Listener }

func (c *devCommand) listen() (devListeners, error) {
	var l devListeners
	for _, one := range []struct {
		flag, address string
		listener      *net.Listener
	}{{"ingest", c.Ingest, &l.ingest}, {"api", c.API, &l.api}, {"ops", c.Ops, &l.ops}, {"fake", c.Fake, &l.fake}} {
		opened, err := listen(one.flag, one.address)
		if err != nil {
			return l, err
		}
		*one.listener = opened
	}
	return l, nil
}

// load reads the configuration, and makes the demo's on the first run: its
// secrets are this directory's own, and stay.
func (c *devCommand) load(fake string) (*config.File, error) {
	path := c.Config
	if path == "" {
		path = filepath.Join(c.Dir, "demo.yaml")
		demo, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		if err == nil {
			_, err = fmt.Fprintf(demo, demoTemplate, events.Nonce(), events.Nonce(), events.Nonce(), events.Nonce(), events.Nonce())
			err = errors.Join(err, demo.Close())
		}
		if err != nil && !errors.Is(err, fs.ErrExist) {
			return nil, err
		}
	}
	return config.Load(path, func(name string) (string, bool) {
		if name == "TOWPATH_FAKE" {
			return fake, true
		}
		return os.LookupEnv(name)
	})
}

// start provisions and starts every role.
func (c *devCommand) start(ctx context.Context, n *node, l devListeners, file *config.File) error {
	waiting, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	if err := provisionStreams(waiting, n.broker, c.topology()); err != nil {
		return err
	}
	opened, err := store.Open(ctx, n.broker)
	if err != nil {
		return err
	}
	n.runDirectory(ctx)
	n.runWorker(ctx, c.workerFlags)
	n.runIngest(ctx, l.ingest, c.ingestFlags)
	n.runAPI(ctx, l.api)
	n.runOps(ctx, l.ops)
	_, err = apply(ctx, opened, n.registry, file, url(l.ingest))
	return err
}

// describe fills in what others need to know, once it holds.
func (c *devCommand) describe(ctx context.Context, n *node, file *config.File, d *devFile) error {
	waiting, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	installed, err := n.waitRegistered(waiting, len(file.Installations))
	if err != nil {
		return err
	}
	d.Bots, d.Installations = []devBot{}, []devInstallation{} // a list in JSON, even when empty
	for _, bot := range file.Bots {
		d.Bots = append(d.Bots, devBot{ID: bot.ID, Token: bot.Token})
	}
	for _, i := range installed {
		if i.Status != store.Registered {
			n.logger.WithField("installation", i.WebhookID).WithField("status", i.Status).Warn(i.StatusReason)
		}
		d.Installations = append(d.Installations, devInstallation{
			Alias: i.Alias, Integration: i.Integration, WebhookID: i.WebhookID, WebhookURL: i.WebhookURL,
		})
	}
	return nil
}

// waitRegistered waits until every installation is known here and none of them
// waits for its first registration, but no longer than ctx: an installation
// whose platform does not answer must not keep the others from starting.
func (n *node) waitRegistered(ctx context.Context, want int) ([]store.Installation, error) {
	for {
		var installed []store.Installation
		pending := 0
		for _, i := range n.directory.List() {
			if i.Leaving() {
				continue
			}
			installed = append(installed, i)
			if i.Status == store.RegistrationPending && !i.Disabled && i.StatusReason == "" {
				pending++
			}
		}
		if len(installed) == want && pending == 0 {
			return installed, nil
		}
		select {
		case <-ctx.Done():
			if len(installed) == want {
				return installed, nil
			}
			return nil, fmt.Errorf("%d of %d installations are known: %w", len(installed), want, context.Cause(ctx))
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// writeDevFile writes the file whole or not at all: whoever finds it may read
// it at once. It holds tokens.
func writeDevFile(path string, d devFile) error {
	data, err := json.MarshalIndent(d, "", "  ")
	if err != nil {
		return err
	}
	draft := path + ".new"
	if err := os.WriteFile(draft, append(data, '\n'), 0o600); err != nil {
		return err
	}
	return os.Rename(draft, path)
}

func (c *devCommand) greet(p *program, d devFile, echoes bool) {
	out := func(format string, args ...any) { fmt.Fprintf(p.stdout, format+"\n", args...) }
	out("")
	out("Towpath runs. Everything is kept in %s, flushed to disk at every write.", fromHere(c.Dir))
	out("")
	out("  webhooks  %s", d.Ingest)
	for _, i := range d.Installations {
		out("            %-10s %s", i.Alias, i.WebhookURL)
	}
	out("  API       %s", d.API)
	for _, b := range d.Bots {
		out("            bot %s, token %s", b.ID, b.Token)
	}
	out("  health    %s/readyz, %s/metrics", d.Ops, d.Ops)
	out("  NATS      %s", d.NATS)
	out("  fake      %s/_requests shows what the platforms were sent", d.Fake)
	out("")
	if echoes {
		out("The bot echoes. In another terminal, send it a message from Slack:")
		out("")
		out("  go run ./cmd/towpath trigger slack message \"hello\"%s", c.dirFlag())
		out("")
	}
}

// hello sends the demo its first message, as the trigger verb would. That it
// did not arrive is said, and is no reason to stop.
func (c *devCommand) hello(ctx context.Context, p *program) {
	fmt.Fprintln(p.stdout, "A first message, from Slack through everything and back:")
	fmt.Fprintln(p.stdout)
	trigger := triggerCommand{
		systemFlags: systemFlags{Dir: c.Dir}, Integration: "slack", Event: "message", Text: "hello",
		Conversation: "C0TOWPATH", User: "U0TOWPATH", Timeout: 15 * time.Second,
	}
	if err := trigger.Run(ctx, p); err != nil && ctx.Err() == nil {
		fmt.Fprintf(p.stderr, "towpath: the first message: %v\n", err)
	}
	fmt.Fprintln(p.stdout, "\nIt goes on running; Ctrl-C drains and stops it.")
}

// dirFlag is what the next command needs to find this dev.
func (c *devCommand) dirFlag() string {
	if dir := fromHere(c.Dir); dir != ".towpath" {
		return " --dir " + dir
	}
	return ""
}

// fromHere is a path as one would type it: relative to the working directory
// when it lies below that.
func fromHere(path string) string {
	here, err := os.Getwd()
	if err != nil {
		return path
	}
	if below, err := filepath.Rel(here, path); err == nil && filepath.IsLocal(below) {
		return below
	}
	return path
}
