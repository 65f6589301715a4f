package test_test

import "strings"

// A claim is a column of docs/platforms.md, or a line of a platform's own table.
type claim string

// The columns, in order, and what else a platform's own table shows.
const (
	ofScheme    claim = "scheme"
	ofHandshake claim = "handshake"
	ofTolerance claim = "tolerance"
	ofDedupID   claim = "dedup id"
	ofKey       claim = "ordering key"
	ofDeadline  claim = "deadline"
	ofEvents    claim = "events"
	ofMessages  claim = "message types"
	ofActions   claim = "actions"
	ofReceipts  claim = "receipts"

	ofErrors   claim = "its API's errors"
	ofLongText claim = "10,000 characters"
)

func columns() []claim {
	return []claim{ofScheme, ofHandshake, ofTolerance, ofDedupID, ofKey, ofDeadline, ofEvents, ofMessages, ofActions, ofReceipts}
}

// shownByAll are the tests of every platform, which run over the catalog.
func shownByAll() map[claim]string {
	return map[claim]string{
		ofScheme:    "platforms.TestEveryPlatformRefusesWhatIsForged platforms.TestEveryPlatformRefusesARequestOrKnowsItAgain",
		ofTolerance: "platforms.TestEveryPlatformIsAsStrictAboutTimeAsItSays",
		ofDedupID:   "platforms.TestEveryPlatformRefusesARequestOrKnowsItAgain",
		ofDeadline:  "platforms.TestEveryPlatformIsAnsweredBeforeItStopsWaiting",
		ofErrors: "platforms.TestEveryPlatformWaitsAsLongAsItIsTold platforms.TestEveryPlatformGivesUpAtOnceWhatWillNeverBeTaken " +
			"platforms.TestEveryPlatformPausesWhenItsCredentialsAreRefused platforms.TestEveryPlatformTriesAgainWhatBroke",
		ofLongText: "platforms.TestEveryPlatformSendsALongTextWholeAndInOrder",
	}
}

// nothing shows that a cell is rightly empty.
func nothing() map[claim]string {
	return map[claim]string{
		ofHandshake: "handlers.TestWireTellsOfAHandshakeIfThereIsOne",
		ofEvents:    "TestDefinitionIsTheGoldenOne",
		ofMessages:  "TestDefinitionIsTheGoldenOne",
		ofActions:   "TestDefinitionIsTheGoldenOne",
		ofReceipts:  "TestDefinitionIsTheGoldenOne",
	}
}

// shown are the tests of each platform's own, in the package that its name leads to without its dash.
func shown() map[string]map[claim]string {
	return map[string]map[claim]string{
		"generic": {
			ofScheme:    "TestVerifyRefuses TestASecretInTheQueryIsComparedAndNotStored TestConfigureSaysWhatToDo TestVectors",
			ofHandshake: "TestHandshakeIsAnsweredOnceItIsVerified",
			ofTolerance: "TestVerifyRefuses",
			ofDedupID:   "TestSplit TestEventIsReceivedOnce",
			ofKey:       "TestSplit",
			ofEvents:    "TestEventIsReceivedOnce TestWhereThingsAreFound",
		},
		"github": {
			ofScheme:    "TestVerifyRefuses TestOldSignatureAloneIsRefused TestVectors",
			ofHandshake: "TestPingIsAnswered",
			ofTolerance: "TestVerifyRefuses",
			ofDedupID:   "TestForcedRedeliveryIsTheSameDelivery TestSplit",
			ofKey:       "TestSplit",
			ofEvents:    "TestIssueEventsAreFired TestPullRequestEventsAreFired TestPushIsFired TestCommentIsMessageAndEvent",
			ofMessages:  "TestEveryTypeOfMessageIsAComment",
			ofErrors:    "TestJudgement TestHangingAPIIsAmbiguous",
			ofLongText:  "TestLongTextArrivesWholeAndInOrder",
		},
		"linear": {
			ofScheme:    "TestVerifyRefuses TestVectors",
			ofTolerance: "TestVerifyRefuses TestToleranceIsAsConfigured TestUnsignedTimeIsNotLookedAt",
			ofDedupID:   "TestIssueEventsAreFired TestUnreadableIsRefused",
			ofKey:       "TestIssueEventsAreFired TestWhoSaysAndWhere",
			ofEvents:    "TestIssueEventsAreFired TestCommentIsMessageAndEvent",
			ofMessages:  "TestEveryTypeOfMessageIsAComment",
			ofActions:   "TestIssueIsCreated",
			ofErrors:    "TestJudgement TestHangingAPIIsAmbiguous",
			ofLongText:  "TestLongTextIsOneWholeComment",
		},
		"shopify": {
			ofScheme:    "TestVerifyRefuses TestVerifyTakesTheNewerHeaders TestVectors",
			ofTolerance: "TestVerifyRefuses",
			ofDedupID:   "TestSplit TestVerifyTakesTheNewerHeaders",
			ofKey:       "TestSplit TestSamplesOfOneConversationAreOneOrder",
			ofEvents:    "TestNewOrderIsFired TestEveryTopicHasItsEvent",
			ofErrors:    "TestErrorsOfShopify",
		},
		"slack": {
			ofScheme:    "TestVerifyRefuses TestDocumentedSlashCommandVerifies TestVectors",
			ofHandshake: "TestChallengeIsAnsweredAsPlainText",
			ofTolerance: "TestVerifyRefuses",
			ofDedupID:   "TestSplit TestDocumentedSlashCommandVerifies",
			ofKey:       "TestSplit TestDocumentedSlashCommandVerifies",
			ofDeadline:  "TestFormsAreAwaitedForLessThanSlackWaits",
			ofEvents:    "TestEventsAreFired TestMentionIsOneMessageAndAnEvent TestCommandIsToldAndAcknowledged TestInteractionsOfEveryKind",
			ofMessages:  "TestEveryTypeIsShown TestMessagesAreSentAndAcked",
			ofActions:   "TestSendMessageActionCostsOne TestRespondAnswersThroughTheResponseURL TestModalIsOpened TestFileIsFetchedWithTheToken",
			ofErrors:    "TestErrorsOfSlack TestErrorsOfEdits",
			ofLongText:  "TestLongTextsArriveWholeAndInOrder",
		},
		"standard-webhooks": {
			ofScheme:    "TestVerifyRefuses TestPublicKeysAndSvixHeadersVerify TestVectors",
			ofTolerance: "TestVerifyRefuses",
			ofDedupID:   "TestEventIsReceivedOnce TestSplit",
			ofKey:       "TestEventIsReceivedOnce TestSplit",
			ofEvents:    "TestEventIsReceivedOnce TestTheTypeIsWhereTheConfigurationSays",
		},
		"stripe": {
			ofScheme:    "TestVerifyRefuses TestAnyOfSeveralSignaturesWillDo TestVectors",
			ofTolerance: "TestVerifyRefuses",
			ofDedupID:   "TestEventIsReceivedOnce TestSplitRefuses",
			ofKey:       "TestEventIsReceivedOnce TestEveryKindOfEventIsRead",
			ofEvents:    "TestEventIsReceivedOnce TestEveryKindOfEventIsRead",
		},
		"telegram": {
			ofScheme:    "TestVerifyRefuses TestWithoutASecretOneIsDerivedFromTheBotToken TestVectors",
			ofTolerance: "TestVerifyRefuses",
			ofDedupID:   "TestSplitFindsTheUpdateAndTheChat",
			ofKey:       "TestSplitFindsTheUpdateAndTheChat",
			ofEvents:    "TestComingAndGoingAreToldOnce TestAButtonIsToldAndAnswered",
			ofMessages:  "TestEveryTypeIsShown",
			ofActions:   "TestSendMessageAction TestDownloadFileAction",
			ofErrors:    "TestErrorsOfTelegram TestAHangEndsWithTheAttempt",
			ofLongText:  "TestALongTextArrivesWholeAndInOrder TestNoPartIsSentAgainWhenALaterOneFails",
		},
		"whatsapp": {
			ofScheme:    "TestVerifyRefusesWhatIsNotMetas TestVectors",
			ofHandshake: "TestHandshakeAnswersWhoKnowsTheToken",
			ofTolerance: "TestVerifyRefusesWhatIsNotMetas",
			ofDedupID:   "TestABatchIsTakenApart",
			ofKey:       "TestABatchIsTakenApart TestSplitKeepsWhatItDoesNotKnow",
			ofEvents:    "TestOpeningTheChatIsAnEvent TestAConversationStartsOnce",
			ofMessages:  "TestEveryTypeOfABotsMessageCanBeSent TestMessagesOfEveryTypeGoOut",
			ofActions:   "TestTheTemplateActionStartsAConversation TestTheOtherActions",
			ofReceipts:  "TestReceiptsMoveAMessageOn",
			ofErrors:    "TestErrorsOfWhatsApp TestAMessageThatWaitedIsSentOnce",
			ofLongText:  "TestTenThousandCharactersArriveWholeAndInOrder TestALongTextGoesOnWhereItStopped",
		},
	}
}

// testsOf are the tests that show a claim of a platform, as "package.Test".
func testsOf(row platformRow, of claim) []string {
	names := shown()[row.Name][of]
	if names == "" && row.cell(of) == "" {
		names = nothing()[of]
	}

	if sends := of == ofErrors || of == ofLongText; !sends || len(row.Messages) > 0 {
		names += " " + shownByAll()[of]
	}

	var all []string

	for name := range strings.FieldsSeq(names) {
		if !strings.Contains(name, ".") {
			name = strings.ReplaceAll(row.Name, "-", "") + "." + name
		}

		all = append(all, name)
	}

	return all
}
