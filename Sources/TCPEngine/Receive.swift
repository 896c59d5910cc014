package import TCPWire

// A segment arrives (RFC 9293 §3.10.7), in the order of its checks.
extension Connection {
    /// Takes a segment of this connection. What it calls for is sent when the link next asks.
    package mutating func receive(_ header: TCPHeader, _ payload: RawSpan, segments: Int, _ context: inout Context) {
        let (sent, received) = (sendOffset, receiveOffset)
        switch state {
        case .closed, .listen, .timeWait: return
        case .synSent: receiveInSynSent(header, payload, &context)
        default: receiveSynchronized(header, payload, segments: segments, &context)
        }
        counters.noteSend(from: sent, to: sendOffset)
        counters.noteReceive(from: received, to: receiveOffset)
    }

    /// RFC 9293 §3.10.7.4: SYN-RECEIVED and the states after it.
    mutating func receiveSynchronized(
        _ header: TCPHeader, _ payload: RawSpan, segments: Int, _ context: inout Context
    ) {
        var flags = header.flags
        if failsPAWS(header, context) {
            acknowledge(unless: payload.byteCount == 0, &context)
            return
        }
        // First: check the sequence number.
        var sequence = header.sequence
        var length = payload.byteCount &+ (flags.contains(.syn) ? 1 : 0) &+ (flags.contains(.fin) ? 1 : 0)
        if state == .synReceived || self.flags.contains(.synUnanswered), flags.contains(.syn), !flags.contains(.rst),
            sequence == receive.initial
        {
            // Simultaneous open: the peer's SYN again, alone or with the ACK that completes ours.
            guard flags.contains(.ack) else {
                self.flags.insert(.retransmit)
                return
            }
            flags.remove(.syn)
            sequence += 1
            length &-= 1
            self.flags.insert(.acknowledgeNow)
        }
        guard isAcceptable(sequence, length) else {
            receiveUnacceptable(header, payload, length: length, &context)
            return
        }
        // Second: check the RST bit.
        if flags.contains(.rst) {
            receiveReset(sequence, &context)
            return
        }
        // Fourth: check the SYN bit (RFC 5961 §4).
        if flags.contains(.syn) {
            noteLateSynAck(header, context)
            challenge(&context)
            return
        }
        // Fifth: check the ACK field.
        guard flags.contains(.ack) else { return }
        guard processAcknowledgment(header, sequence, isEmpty: length == 0, &context) else { return }
        noteHeard(context)
        // Only now: a forged segment must not make the peer's own look old.
        updateTimestamp(header, sequence, context)
        // RFC 3168 §6.1.5: the ECN field of what lies outside the window says nothing.
        noteCodepoint(header, length: payload.byteCount, segments: segments, &context)
        // Sixth: check the URG bit.
        if flags.contains(.urg) { processUrgent(header, sequence) }
        guard length > 0 else { return }
        if payload.byteCount > 0 { noteArrival(header, context) }
        // Seventh and eighth: the segment text, and the FIN.
        processText(sequence, payload, hasFin: flags.contains(.fin), segments: segments, &context)
    }

    /// RFC 9293 §3.10.7.4, first: the four cases of table 6.
    func isAcceptable(_ sequence: SequenceNumber, _ length: Int) -> Bool {
        let window = advertisedWindow
        if length == 0 {
            if window == 0 { return sequence == receive.next }
            return receive.next <= sequence && sequence < receive.edge
        }
        if window == 0 { return false }
        let last = sequence + (length &- 1)
        return receive.next <= sequence && sequence < receive.edge || receive.next <= last && last < receive.edge
            // A super-segment can begin before the window and end behind it.
            || sequence < receive.next && receive.edge <= last
    }

    /// A segment outside the window: an acknowledgment in reply, unless it is a reset (RFC 9293 §3.10.7.4).
    private mutating func receiveUnacceptable(
        _ header: TCPHeader, _ payload: RawSpan, length: Int, _ context: inout Context
    ) {
        if header.flags.contains(.rst) {
            // With a closed window an RST at RCV.NXT still counts (RFC 9293 MUST-66).
            if header.sequence == receive.next { receiveReset(header.sequence, &context) }
            return
        }
        if header.flags.contains(.syn) {
            noteLateSynAck(header, context)
            challenge(&context)
            return
        }
        let end = header.sequence + length
        if header.flags.contains(.ack), header.sequence >= receive.next, header.sequence <= receive.edge + 1 {
            // RFC 9293 appendix A.2 and "if the RCV.WND is zero": a peer that probes a closed window has its SND.NXT past
            // our edge, and its acknowledgments must still count.
            guard processAcknowledgment(header, header.sequence, isEmpty: length == 0, &context) else { return }
            noteHeard(context)
            if header.flags.contains(.urg) { processUrgent(header, header.sequence) }
            if state == .closed { return }
        } else if length > 0, end <= receive.next {
            // A duplicate: SACK's first block tells which (RFC 2883 §4.1).
            if flags.contains(.sack) {
                makeReassembly(&context)?.duplicate = SACKBlock(start: header.sequence, end: end)
            }
        }
        acknowledge(unless: length == 0, &context)
    }

    /// The peer lives. Only a segment whose acknowledgment was right says so: a guess must not keep a dead peer's
    /// connection (RFC 5961 §5).
    private mutating func noteHeard(_ context: borrowing Context) {
        heardAt = context.now
        keepAliveProbes = 0
    }

    /// Acknowledges at once; with `limited`, within the limit for challenge acknowledgments, so that two ends that find each
    /// other's empty segments unacceptable do not answer each other for ever.
    private mutating func acknowledge(unless limited: Bool, _ context: inout Context) {
        if limited, !takeChallenge(context) { return }
        flags.insert(.acknowledgeNow)
    }

    /// RFC 9293 §3.10.7.4, second, with RFC 5961 §3.
    private mutating func receiveReset(_ sequence: SequenceNumber, _ context: inout Context) {
        guard sequence == receive.next else {
            challenge(&context)
            return
        }
        switch state {
        // Of a passive open the program has it already, by Fast Open.
        case .synReceived: fail(flags.contains(.passive) ? .reset : .refused, &context)
        case .closing, .lastAck:
            // Nothing is lost: both sides had said that they were done.
            move(to: .closed, &context)
        default: fail(.reset, &context)
        }
    }

    /// A challenge ACK (RFC 5961), if this second's are not used up.
    mutating func challenge(_ context: inout Context) {
        guard takeChallenge(context) else { return }
        context.challengeAcknowledgments &+= 1
        flags.insert(.acknowledgeNow)
    }

    /// RFC 5961 §7 throttles challenge ACKs. The limit is each connection's own and differs between them, so that it tells
    /// nothing about another connection (CVE-2016-5696).
    private mutating func takeChallenge(_ context: borrowing Context) -> Bool {
        let second = UInt32(truncatingIfNeeded: context.now.nanoseconds / 1_000_000_000)
        if second != challengeSecond {
            challengeSecond = second
            challengesLeft = challengeLimit(in: second)
        }
        guard challengesLeft > 0 else { return false }
        challengesLeft &-= 1
        return true
    }

    /// The challenge ACKs of that second.
    func challengeLimit(in second: UInt32) -> UInt8 {
        let mixed = (timestampOffset ^ second &* 0x9E37_79B9) &* 0x85EB_CA6B
        return 16 &+ UInt8(truncatingIfNeeded: mixed &>> 28)
    }

    /// PAWS (RFC 7323 §5.3): an old timestamp makes any segment but RST and SYN unacceptable.
    private func failsPAWS(_ header: TCPHeader, _ context: borrowing Context) -> Bool {
        // A segment without the option is taken (RFC 7323 §3.2 would drop it): peers and middleboxes exist that lose it.
        guard flags.contains([.timestamps, .hasTimestamp]), let timestamps = header.options.timestamps,
            header.flags.isDisjoint(with: [.rst, .syn])
        else { return false }
        guard Int32(bitPattern: timestamps.value &- recentTimestamp) < 0 else { return false }
        // RFC 7323 §5.5: after 24 days without a segment TS.Recent says nothing.
        return context.now.nanoseconds &- recentTimestampAt.nanoseconds < 24 &* 86_400_000_000_000
    }

    /// RFC 7323 §4.3 (2): the earliest segment not acknowledged yet is the one to echo.
    private mutating func updateTimestamp(
        _ header: TCPHeader, _ sequence: SequenceNumber, _ context: borrowing Context
    ) {
        guard flags.contains(.timestamps), let timestamps = header.options.timestamps else { return }
        guard sequence <= receive.acknowledged else { return }
        recentTimestamp = timestamps.value
        recentTimestampAt = context.now
        flags.insert(.hasTimestamp)
    }

    /// RFC 9293 §3.10.7.4, sixth. The pointer names the octet after the urgent data (MUST-62, RFC 6093).
    private mutating func processUrgent(_ header: TCPHeader, _ sequence: SequenceNumber) {
        guard isReceiving, header.urgentPointer > 0 else { return }
        let pointer = sequence + UInt32(header.urgentPointer)
        guard pointer > receive.next + (-receiveQueue.count) else { return }
        if flags.contains(.urgent), pointer <= receive.urgent { return }
        receive.urgent = pointer
        flags.insert(.urgent)
        changes.insert(.urgent)
    }
}
