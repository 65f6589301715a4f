package client

import (
	"context"
	"net/http"
)

// Operation is one row of the table: how a call looks on the wire and what its
// input and output are.
type Operation struct {
	Name   string // "getOrCreateUser"
	Method string
	Path   string // with {name} for fields of the input tagged in:"path"
	Status int    // of a success
	// Effect marks what changes something: its calls carry an identity.
	Effect bool
	// NewInput and NewOutput return pointers to zero values.
	NewInput, NewOutput func() any
}

// op is a row with its types, so that a Client's method cannot mix up rows.
type op[In, Out any] struct{ *Operation }

func define[In, Out any](name, method, path string) op[In, Out] {
	status := http.StatusOK
	if method == http.MethodPost && createdStatus[name] {
		status = http.StatusCreated
	}
	return op[In, Out]{&Operation{
		Name: name, Method: method, Path: path, Status: status, Effect: method != http.MethodGet,
		NewInput: func() any { return new(In) }, NewOutput: func() any { return new(Out) },
	}}
}

// createdStatus lists the operations that Botpress answers with 201.
var createdStatus = map[string]bool{
	"createConversation": true, "createEvent": true, "createMessage": true, "createUser": true,
}

var (
	createConversation        = define[CreateConversationInput, ConversationOutput]("createConversation", "POST", "/v1/chat/conversations")
	getConversation           = define[IDInput, ConversationOutput]("getConversation", "GET", "/v1/chat/conversations/{id}")
	getOrCreateConversation   = define[GetOrCreateConversationInput, GetOrCreateConversationOutput]("getOrCreateConversation", "POST", "/v1/chat/conversations/get-or-create")
	createEvent               = define[CreateEventInput, EventOutput]("createEvent", "POST", "/v1/chat/events")
	getEvent                  = define[IDInput, EventOutput]("getEvent", "GET", "/v1/chat/events/{id}")
	listEvents                = define[ListEventsInput, ListEventsOutput]("listEvents", "GET", "/v1/chat/events")
	createMessage             = define[CreateMessageInput, MessageOutput]("createMessage", "POST", "/v1/chat/messages")
	getMessage                = define[IDInput, MessageOutput]("getMessage", "GET", "/v1/chat/messages/{id}")
	listMessages              = define[ListMessagesInput, ListMessagesOutput]("listMessages", "GET", "/v1/chat/messages")
	updateMessage             = define[UpdateMessageInput, MessageOutput]("updateMessage", "PUT", "/v1/chat/messages/{id}")
	createUser                = define[CreateUserInput, UserOutput]("createUser", "POST", "/v1/chat/users")
	getUser                   = define[IDInput, UserOutput]("getUser", "GET", "/v1/chat/users/{id}")
	getOrCreateUser           = define[GetOrCreateUserInput, GetOrCreateUserOutput]("getOrCreateUser", "POST", "/v1/chat/users/get-or-create")
	getState                  = define[StateInput, StateOutput]("getState", "GET", "/v1/chat/states/{type}/{id}/{name}")
	setState                  = define[SetStateInput, StateOutput]("setState", "POST", "/v1/chat/states/{type}/{id}/{name}")
	listConversations         = define[ListConversationsInput, ListConversationsOutput]("listConversations", "GET", "/v1/chat/conversations")
	updateConversation        = define[UpdateConversationInput, ConversationOutput]("updateConversation", "PUT", "/v1/chat/conversations/{id}")
	deleteConversation        = define[IDInput, NoOutput]("deleteConversation", "DELETE", "/v1/chat/conversations/{id}")
	listParticipants          = define[ListParticipantsInput, ListParticipantsOutput]("listParticipants", "GET", "/v1/chat/conversations/{id}/participants")
	addParticipant            = define[AddParticipantInput, ParticipantOutput]("addParticipant", "POST", "/v1/chat/conversations/{id}/participants")
	getParticipant            = define[ParticipantInput, ParticipantOutput]("getParticipant", "GET", "/v1/chat/conversations/{id}/participants/{userId}")
	removeParticipant         = define[ParticipantInput, NoOutput]("removeParticipant", "DELETE", "/v1/chat/conversations/{id}/participants/{userId}")
	listUsers                 = define[ListUsersInput, ListUsersOutput]("listUsers", "GET", "/v1/chat/users")
	updateUser                = define[UpdateUserInput, UserOutput]("updateUser", "PUT", "/v1/chat/users/{id}")
	deleteUser                = define[IDInput, NoOutput]("deleteUser", "DELETE", "/v1/chat/users/{id}")
	getOrCreateMessage        = define[GetOrCreateMessageInput, GetOrCreateMessageOutput]("getOrCreateMessage", "POST", "/v1/chat/messages/get-or-create")
	deleteMessage             = define[IDInput, NoOutput]("deleteMessage", "DELETE", "/v1/chat/messages/{id}")
	reportReceipt             = define[Receipt, NoOutput]("reportReceipt", "POST", "/v1/chat/receipts")
	importMessages            = define[ImportMessagesInput, ImportMessagesOutput]("importMessages", "POST", "/v1/chat/messages/import-messages")
	initializeIncomingMessage = define[InitializeIncomingMessageInput, InitializeIncomingMessageOutput]("initializeIncomingMessage", "POST", "/v1/chat/initialize-incoming-message")
	patchState                = define[PatchStateInput, StateOutput]("patchState", "PATCH", "/v1/chat/states/{type}/{id}/{name}")
	getOrSetState             = define[SetStateInput, StateOutput]("getOrSetState", "POST", "/v1/chat/states/{type}/{id}/{name}/get-or-set")
	setStateExpiry            = define[SetStateExpiryInput, StateOutput]("setStateExpiry", "POST", "/v1/chat/states/{type}/{id}/{name}/expiry")
	cancelScheduledEvent      = define[IDInput, NoOutput]("cancelScheduledEvent", "DELETE", "/v1/chat/events/scheduled/{id}")
	listTagValues             = define[ListTagValuesInput, ListTagValuesOutput]("listTagValues", "GET", "/v1/chat/tags/{key}/values")
	trackAnalytics            = define[TrackAnalyticsInput, NoOutput]("trackAnalytics", "POST", "/v1/chat/analytics")
	configureIntegration      = define[ConfigureIntegrationInput, NoOutput]("configureIntegration", "POST", "/v1/chat/integrations/configure")
	callAction                = define[CallActionInput, CallActionOutput]("callAction", "POST", "/v1/chat/actions")
)

// Operations lists the table in the order of the paths.
func Operations() []*Operation {
	return []*Operation{
		callAction.Operation,
		createConversation.Operation, getOrCreateConversation.Operation, listConversations.Operation,
		getConversation.Operation, updateConversation.Operation, deleteConversation.Operation,
		addParticipant.Operation, listParticipants.Operation, getParticipant.Operation, removeParticipant.Operation,
		createEvent.Operation, listEvents.Operation, getEvent.Operation, cancelScheduledEvent.Operation,
		configureIntegration.Operation,
		createMessage.Operation, getOrCreateMessage.Operation, importMessages.Operation, listMessages.Operation,
		getMessage.Operation, updateMessage.Operation, deleteMessage.Operation, initializeIncomingMessage.Operation,
		reportReceipt.Operation,
		getState.Operation, setState.Operation, patchState.Operation, getOrSetState.Operation, setStateExpiry.Operation,
		listTagValues.Operation, trackAnalytics.Operation,
		createUser.Operation, getOrCreateUser.Operation, listUsers.Operation,
		getUser.Operation, updateUser.Operation, deleteUser.Operation,
	}
}

// Caller is on whose behalf a call is made. A bot has only BotID.
type Caller struct {
	BotID         string
	IntegrationID string // "intver_…", the integration in its version
	Alias         string // the installation's alias; empty for a bot
}

// IsIntegration tells an integration's call from a bot's.
func (c Caller) IsIntegration() bool { return c.Alias != "" }

// Call is one call of an operation.
type Call struct {
	Operation *Operation
	Caller    Caller
	// Identity makes an effect one: two calls of a caller with the same
	// identity are the same effect. Empty means that each call is its own.
	Identity string
	// Delivery is what this call follows from; the zero value when nothing.
	Delivery Delivery
}

// Backend carries out calls: the store in this process, or the HTTP API of
// another. In and out are pointers to the operation's input and output.
// Failures that the caller can act on are *[Error].
type Backend interface {
	Do(ctx context.Context, call Call, in, out any) error
}
