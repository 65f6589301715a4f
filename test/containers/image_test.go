package containers_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/moby/moby/client"
	"github.com/testcontainers/testcontainers-go"
	"github.com/testcontainers/testcontainers-go/wait"
)

func TestTheImageHoldsNothingButTheProgram(t *testing.T) {
	t.Parallel()

	towpath := image(t)

	for _, shell := range []string{"sh", "/bin/sh", "/bin/bash", "/bin/busybox", "/busybox/sh"} {
		c, err := testcontainers.Run(t.Context(), towpath, testcontainers.WithCmd(shell, "-c", "exit"), hardened())
		testcontainers.CleanupContainer(t, c)

		if err == nil || !strings.Contains(err.Error(), "no such file") && !strings.Contains(err.Error(), "not found") {
			t.Errorf("%s: %v, want that it is not there", shell, err)
		}
	}
}

func TestAContainerRunsAsNobodyAndStopsWhenTold(t *testing.T) {
	t.Parallel()

	towpath, provider := image(t), engine(t)

	described, err := provider.Client().ImageInspect(t.Context(), towpath)
	if err != nil {
		t.Fatal(err)
	}

	if user := described.Config.User; user != "65532:65532" {
		t.Errorf("the image's user is %q", user)
	}

	c := start(t, towpath, "fake", serving("8090/tcp"), testcontainers.WithCmd("towpath", "fake", "--listen", "0.0.0.0:8090"),
		testcontainers.WithWaitStrategyAndDeadline(startup, wait.ForHTTP("/_requests").WithPort("8090/tcp")))

	processes, err := provider.Client().ContainerTop(t.Context(), c.GetContainerID(), client.ContainerTopOptions{Arguments: []string{"-eo", "pid,uid"}})
	if err != nil {
		t.Fatal(err)
	}

	uid := slices.Index(processes.Titles, "UID")
	for _, process := range processes.Processes {
		if process[uid] != "65532" {
			t.Errorf("a process runs as user %s", process[uid])
		}
	}

	patience := 5 * time.Second

	began := time.Now()
	if err := c.Stop(context.Background(), &patience); err != nil {
		t.Fatal(err)
	}

	state, err := c.State(context.Background())
	if err != nil {
		t.Fatal(err)
	}

	if took := time.Since(began); state.ExitCode != 0 || took > patience {
		t.Errorf("after SIGTERM it exits with %d in %s", state.ExitCode, took)
	}
}
