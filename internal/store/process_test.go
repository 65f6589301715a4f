package store_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"testing"

	"github.com/towpath/towpath/internal/broker"
	"github.com/towpath/towpath/internal/broker/embedded"
	"github.com/towpath/towpath/internal/store"
	"github.com/towpath/towpath/pkg/client"
)

// What makes this test binary one of several processes that share a NATS.
const (
	processURL   = "TOWPATH_TEST_PROCESS_NATS"
	processFirst = "TOWPATH_TEST_PROCESS_FIRST" // number of the first of its callers
	callersEach  = 16
	processes    = 4
)

// found is what one caller of a process got.
type found struct {
	User, Conversation, Message string
	Made                        [3]bool
	Err                         string
}

// beProcess waits for a line on its standard input, so that all processes begin
// at once, asks by many callers at the same time, and prints what each got.
func beProcess(url string) int {
	ctx := context.Background()
	b, err := broker.Connect(broker.Config{URL: url, Name: "process", Logger: quiet()})
	if err == nil {
		defer b.Close()
		err = b.WaitReady(ctx)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	s, err := store.Open(ctx, b)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	first, _ := strconv.Atoi(os.Getenv(processFirst))
	_, _ = fmt.Fprintln(os.Stdout, "ready")
	_, _ = bufio.NewReader(os.Stdin).ReadString('\n')
	var group sync.WaitGroup
	got := make([]found, callersEach)
	for i := range got {
		group.Go(func() {
			if err := got[i].ask(ctx, as(s, slack), first+i); err != nil {
				got[i].Err = err.Error()
			}
		})
	}
	group.Wait()
	if err := json.NewEncoder(os.Stdout).Encode(got); err != nil {
		return 1
	}
	return 0
}

func (f *found) ask(ctx context.Context, c *client.Client, number int) error {
	user, err := c.GetOrCreateUser(ctx, client.GetOrCreateUserInput{Tags: client.Tags{"id": "U1", "team": "T1"}, DiscriminateByTags: []string{"id"}})
	if err != nil {
		return err
	}
	conversation, err := c.GetOrCreateConversation(ctx, client.GetOrCreateConversationInput{Channel: "channel", Tags: client.Tags{"id": "C1", "title": "general"}})
	if err != nil {
		return err
	}
	in := client.GetOrCreateMessageInput{
		CreateMessageInput: text(conversation.Conversation.ID, user.User.ID, "hello"), DiscriminateByTags: []string{"ts"},
	}
	in.Tags = client.Tags{"ts": "1.1"}
	message, err := c.GetOrCreateMessage(ctx, in)
	if err != nil {
		return err
	}
	*f = found{
		User: user.User.ID, Conversation: conversation.Conversation.ID, Message: message.Message.ID,
		Made: [3]bool{user.Meta.Created, conversation.Meta.Created, message.Meta.Created},
	}
	_, err = c.UpdateUser(ctx, client.UpdateUserInput{ID: f.User, Tags: client.Tags{"caller" + strconv.Itoa(number): "x"}})
	if err == nil {
		_, err = c.UpdateConversation(ctx, client.UpdateConversationInput{ID: f.Conversation, Tags: client.Tags{"caller" + strconv.Itoa(number): "x"}})
	}
	if err == nil {
		_, err = c.UpdateMessage(ctx, client.UpdateMessageInput{ID: f.Message, Tags: client.Tags{"caller" + strconv.Itoa(number): "x"}})
	}
	return err
}

func TestManyCallersOfRealProcessesGetOneOfEachAndLoseNoTag(t *testing.T) {
	t.Parallel()
	server, err := embedded.Start(embedded.Config{Dir: t.TempDir(), Listen: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Stop)
	b := must[*broker.Broker](t)(broker.Connect(broker.Config{Name: t.Name(), Logger: quiet(), InProcess: server}))
	t.Cleanup(b.Close)
	if err := b.Provision(t.Context(), broker.Topology{Partitions: 2}); err != nil {
		t.Fatal(err)
	}
	s := must[*store.Store](t)(store.Open(t.Context(), b))
	must[store.Changes](t)(s.Apply(t.Context(), desired(), nil))

	all := callers(t, server.ClientURL())
	made := [3]int{}
	for _, one := range all {
		if one.Err != "" || one.User != all[0].User || one.Conversation != all[0].Conversation || one.Message != all[0].Message {
			t.Errorf("a caller got %+v, the first %+v", one, all[0])
		}
		for i, did := range one.Made {
			if did {
				made[i]++
			}
		}
	}
	if len(all) != processes*callersEach || made != [3]int{1, 1, 1} {
		t.Errorf("%d callers; users, conversations and messages were made %v times, want once each", len(all), made)
	}
	for _, bucket := range []broker.BucketName{broker.Users, broker.Conversations, broker.Messages} {
		if keys := keysOf(t, b, bucket, "demo.*"); len(keys) != 1 {
			t.Errorf("%s holds %v, want one", bucket, keys)
		}
	}
	if told := stored(t.Context(), t, b, broker.Events, "message_created"); len(told) != 1 {
		t.Errorf("the bot is told of the message %d times", len(told))
	}
	c := as(s, slack)
	user := must[*client.UserOutput](t)(c.GetUser(t.Context(), all[0].User)).User
	conversation := must[*client.ConversationOutput](t)(c.GetConversation(t.Context(), all[0].Conversation)).Conversation
	message := must[*client.MessageOutput](t)(c.GetMessage(t.Context(), all[0].Message)).Message
	for what, got := range map[string][2]int{
		"user":         {len(user.Tags), 2},
		"conversation": {len(conversation.Tags), 2},
		"message":      {len(message.Tags), 1},
	} {
		if got[0] != got[1]+len(all) {
			t.Errorf("%s has %d tags after %d callers set one each", what, got[0], len(all))
		}
	}
}

// callers runs the processes and returns what their callers got.
func callers(t *testing.T, url string) []found {
	t.Helper()
	type process struct {
		command *exec.Cmd
		out     *bufio.Reader
		begin   func() error
	}
	var running []process
	for i := range processes {
		command := exec.CommandContext(t.Context(), os.Args[0])
		command.Env = append(os.Environ(), processURL+"="+url, processFirst+"="+strconv.Itoa(i*callersEach))
		command.Stderr = os.Stderr
		in := must[io.WriteCloser](t)(command.StdinPipe())
		out := bufio.NewReader(must[io.ReadCloser](t)(command.StdoutPipe()))
		if err := command.Start(); err != nil {
			t.Fatal(err)
		}
		running = append(running, process{command, out, func() error { _, err := in.Write([]byte("go\n")); return err }})
	}
	for _, p := range running {
		if line, err := p.out.ReadString('\n'); err != nil || line != "ready\n" {
			t.Fatalf("a process says %q, %v", line, err)
		}
	}
	for _, p := range running {
		if err := p.begin(); err != nil {
			t.Fatal(err)
		}
	}
	var all []found
	for _, p := range running {
		var got []found
		if err := json.NewDecoder(p.out).Decode(&got); err != nil {
			t.Error(err)
		}
		all = append(all, got...)
		if err := p.command.Wait(); err != nil {
			t.Error(err)
		}
	}
	return all
}
