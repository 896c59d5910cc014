internal import TCPEngine
internal import TCPWire

/// Why a segment was sent, as far as what was observed tells.
enum SegmentMeaning: String {
    // Opening
    case syn, synWithData, synOnOldConnection, synRepeated, synInjected
    case synAck, synAckSimultaneous, synAckRepeated, synAckToInjected
    case handshakeAck, handshakeAckRepeated, handshakeAckSimultaneous
    // Data
    case data, dataFinishingHandshake, dataAfterPeersFIN, dataRepeated, dataInjected
    case windowProbe
    case ack, ackAgain, duplicateAck, ackClosingWindow, windowUpdate, probeAnswer, ackOfOldDuplicate, keepAlive
    // Closing
    case fin, finMergedWithAck, finSeparate, finSeparateAckLost, finCrossing, finRepeated
    case ackOfFIN, ackOfCrossingFIN, lastAck, lastAckRepeated
    // Resets
    case challengeAck, refusal, resetOfOldSynAck, resetOfUnknown, abort, resetOfUnread, resetInjected, reset
    // The network's own work
    case copy
}

/// Who caused a change of state.
enum ChangeCause: Equatable {
    /// The segment at the index arrived.
    case arrival(Int)
    /// The segment at the index was sent, or is about to be.
    case sending(Int)
    /// The program called, or a timer ran out.
    case itself
}

/// What is known of one segment when its sentence is chosen.
struct SegmentFacts {
    var meaning: SegmentMeaning
    /// The sequence number counted from the sender's ISS, where that makes sense.
    var relativeSequence: Int?
    /// The acknowledgment counted from the receiver's ISS, where that makes sense.
    var relativeAcknowledgment: Int?
    /// Octets and flags that this acknowledges for the first time.
    var acknowledged = 0
    /// How often the same thing was sent before.
    var repetitions = 0
    /// Whether its first octet was sent before, in whatever segment.
    var repeatsOctets = false
    /// Since the last of those times.
    var elapsed: Duration = .zero
    /// The state of the sender when it sent.
    var senderState: State = .closed
    /// The state of the receiver after it took the segment; `nil` if it never did.
    var receiverState: State?
    /// The segment that made the sender send, if one did.
    var answers: Int?
    /// The window in octets, scaled.
    var window = 0
}

/// A change of state with its cause.
struct ChangeFacts {
    var change: TracedStateChange
    var cause: ChangeCause
    /// How long the old state had lasted.
    var lasted: Duration
    /// What the program did last at this end.
    var lastAction: ApplicationAction?
    /// Whether a listener goes on waiting on the port.
    var listenerStays: Bool
}

/// One thing to draw, in the order of time.
enum LadderItem {
    /// The segment at the index, with the changes it brought at the sender and at the receiver.
    case segment(Int, sender: [ChangeFacts], receiver: [ChangeFacts])
    /// A change that no segment brought.
    case change(ChangeFacts)
    /// A program's action.
    case action(TracedAction)
}
