internal import TCPEngine
internal import TCPWire

/// Finds why a segment was sent, from the segment, the state of its sender, and what both have sent before.
struct Classifier {
    let segment: TracedSegment
    let facts: SegmentFacts
    let half: FlowHalf
    let peer: FlowHalf
    /// The segment whose arrival made the sender send.
    let answered: TracedSegment?
    /// What the sender's program did last.
    let lastAction: ApplicationAction?

    private var flags: TCPFlags { segment.header.flags }
    private var sequence: SequenceNumber { segment.header.sequence }

    var meaning: SegmentMeaning {
        if flags.contains(.rst) { return reset }
        if flags.contains(.syn) { return opening }
        if flags.contains(.fin) { return closing }
        return segment.length > 0 ? data : acknowledgment
    }

    // MARK: Opening

    private var opening: SegmentMeaning {
        if segment.origin == .injected { return .synInjected }
        if !flags.contains(.ack) {
            if facts.repetitions > 0 { return .synRepeated }
            if segment.length > 0 { return .synWithData }
            return half.isReused ? .synOnOldConnection : .syn
        }
        if let answered, answered.origin == .injected { return .synAckToInjected }
        if half.sentPlainSYN { return facts.repetitions > 1 ? .synAckRepeated : .synAckSimultaneous }
        return facts.repetitions > 0 ? .synAckRepeated : .synAck
    }

    // MARK: Closing

    private var closing: SegmentMeaning {
        if let finEnd = half.finEnd, finEnd == segment.sequenceEnd { return .finRepeated }
        guard let peersFIN = peer.finEnd else { return .fin }
        guard flags.contains(.ack), segment.header.acknowledgment == peersFIN else { return .finCrossing }
        if half.finAcksSent == 0 { return .finMergedWithAck }
        return half.finAcksDelivered == 0 ? .finSeparateAckLost : .finSeparate
    }

    // MARK: Data

    private var data: SegmentMeaning {
        if segment.origin == .injected { return .dataInjected }
        if let window = peer.window, window == 0, segment.length <= 1 { return .windowProbe }
        // The third acknowledgment was lost, or this is it.
        if facts.relativeSequence == 1, half.handshakeAcks == 0 || half.handshakeAckLost, peer.initial != nil,
            half.sentPlainSYN
        {
            return .dataFinishingHandshake
        }
        if let next = half.next, sequence < next, facts.repetitions > 0 || next.distance(from: sequence) > 1 {
            return segment.length <= 1 && peer.window == 0 ? .windowProbe : .dataRepeated
        }
        return peer.finEnd.map { segment.header.acknowledgment == $0 } ?? false ? .dataAfterPeersFIN : .data
    }

    private var acknowledgment: SegmentMeaning {
        if segment.origin == .injected { return .dataInjected }
        if let answered, answered.header.flags.contains(.rst) { return .challengeAck }
        if let answered, answered.header.flags.contains(.syn), !answered.header.flags.contains(.ack),
            half.next != nil
        {
            return .challengeAck
        }
        if let answered, answered.header.flags.contains([.syn, .ack]) {
            if peer.sentPlainSYN { return .handshakeAckSimultaneous }
            return half.handshakeAcks == 0 ? .handshakeAck : .handshakeAckRepeated
        }
        if let next = half.next, next.distance(from: sequence) == 1, facts.senderState == .established {
            return .keepAlive
        }
        if let finEnd = peer.finEnd, segment.header.acknowledgment == finEnd { return acknowledgmentOfFIN }
        if facts.acknowledged > 0 { return facts.window == 0 ? .ackClosingWindow : .ack }
        return repeatedAcknowledgment
    }

    private var acknowledgmentOfFIN: SegmentMeaning {
        switch facts.senderState {
        case .timeWait: return half.finAcksSent == 0 ? .lastAck : .lastAckRepeated
        case .closing: return half.finAcksSent == 0 ? .ackOfCrossingFIN : .ackAgain
        case .closeWait where half.finAcksSent == 0: return .ackOfFIN
        default: return half.finAcksSent == 0 ? .ackOfFIN : .ackAgain
        }
    }

    private var repeatedAcknowledgment: SegmentMeaning {
        if let answered, answered.origin == .injected { return .ackOfOldDuplicate }
        if let window = half.window, facts.window > window, facts.answers == nil || answered?.length == 0 {
            return .windowUpdate
        }
        if let answered, facts.window == 0, answered.length <= 1 { return .probeAnswer }
        if let answered, answered.length > 0, answered.header.sequence > segment.header.acknowledgment {
            return .duplicateAck
        }
        if let answered, answered.length > 0 { return .ackOfOldDuplicate }
        return .ackAgain
    }

    // MARK: Resets

    private var reset: SegmentMeaning {
        if segment.origin == .injected { return .resetInjected }
        if case .abort = lastAction { return .abort }
        if case .closeUnread = lastAction { return .resetOfUnread }
        guard let answered else { return .reset }
        if answered.header.flags.contains(.syn), !answered.header.flags.contains(.ack) { return .refusal }
        if answered.header.flags.contains([.syn, .ack]) { return .resetOfOldSynAck }
        switch facts.senderState {
        case .closed, .listen, .synSent, .timeWait: return .resetOfUnknown
        default: return .reset
        }
    }
}
