package import TCPWire

// How a connection opens (RFC 9293 §3.5): three segments, or four when both ends open at once.
extension Connection {
    /// RFC 9293 §3.10.7.3: a segment arrives in SYN-SENT.
    mutating func receiveInSynSent(_ header: TCPHeader, _ payload: RawSpan, _ context: inout Context) {
        // First: check the ACK bit. ISS < SEG.ACK =< SND.NXT.
        let hasAck = header.flags.contains(.ack)
        if hasAck, !(header.acknowledgment > send.initial && header.acknowledgment <= send.next) {
            if !header.flags.contains(.rst) { context.bareReset = header.acknowledgment }
            return
        }
        // Second: check the RST bit. Only a reset that acknowledges our SYN counts.
        if header.flags.contains(.rst) {
            if hasAck { fail(.refused, &context) }
            return
        }
        // Fourth: check the SYN bit.
        guard header.flags.contains(.syn) else { return }
        takeSyn(header, context)
        heardAt = context.now
        if hasAck {
            // The peer has our SYN, and we have its: both directions work.
            agreeOnECN(synAck: header.flags, context)
            establish(header, &context)
            flags.insert(.acknowledgeNow)
            let hasFin = header.flags.contains(.fin)
            if payload.byteCount > 0 || hasFin {
                processText(header.sequence + 1, payload, hasFin: hasFin, segments: 1, &context)
            }
        } else {
            // The SYNs crossed (RFC 9293 §3.5, figure 7): ours goes again, with the acknowledgment of theirs. Its
            // octets, if it has any, are not taken: the peer sends them again.
            send.window = UInt32(header.window)
            send.maximumWindow = send.window
            send.windowSequence = header.sequence
            send.windowAcknowledgment = send.initial
            agreeOnECN(syn: header.flags, context)
            move(to: .synReceived, &context)
            flags.insert(.retransmit)
        }
    }

    /// Takes from the peer's SYN what holds for the whole connection.
    mutating func takeSyn(_ header: TCPHeader, _ context: borrowing Context) {
        receive.initial = header.sequence
        receive.next = header.sequence + 1
        receive.acknowledged = receive.next
        agree(
            maximumSegmentSize: header.options.maximumSegmentSize, windowScale: header.options.windowScale,
            sackPermitted: header.options.sackPermitted, timestamp: header.options.timestamps?.value, context)
        receive.edge = receive.next + min(65535, receiveLimit(context))
    }

    /// Options count when both SYNs have them (RFC 7323 §1.3, §2.2; RFC 2018 §2). Ours had what the parameters say.
    package mutating func agree(
        maximumSegmentSize: UInt16?, windowScale: UInt8?, sackPermitted: Bool, timestamp: UInt32?,
        _ context: borrowing Context
    ) {
        if let maximumSegmentSize { peerSegmentSize = maximumSegmentSize }
        if context.parameters.windowScaling, let windowScale {
            flags.insert(.peerScales)
            send.scale = min(windowScale, 14)
        } else {
            receive.scale = 0
        }
        if context.parameters.selectiveAcknowledgment, sackPermitted { flags.insert(.sack) }
        if context.parameters.timestamps, let timestamp {
            flags.formUnion([.timestamps, .hasTimestamp])
            recentTimestamp = timestamp
            recentTimestampAt = context.now
        }
        receive.segmentSize = 0
    }

    /// The SYN, or the SYN-ACK of a simultaneous open; `nil` when it is not time to send one.
    mutating func composeSyn(_ context: inout Context) -> OutgoingSegment? {
        let isFirst = send.next == send.initial
        guard isFirst || flags.contains(.retransmit) else {
            return state == .synReceived && flags.contains(.acknowledgeNow) ? composeAcknowledgment(&context) : nil
        }
        flags.subtract([.retransmit, .acknowledgeNow])
        var segment = OutgoingSegment(sequence: send.initial, flags: .syn)
        segment.options = synOptions(context)
        segment.window = UInt16(min(65535, max(0, receiveLimit(context) &- receiveQueue.count)))
        if state == .synSent {
            segment.flags.formUnion(ecnFlagsOfSyn(isFirst: isFirst))
        } else {
            segment.flags.formUnion(ecnFlagsOfSynAck().union(.ack))
            // RFC 9768 §3.2.3.2: to find out whether the path carries it; not on one that goes again.
            if ecn.feedback == .accurate, isFirst { segment.options.accurateECN = ECN.firstOption }
            segment.acknowledgment = receive.next
            receive.edge = .later(receive.edge, receive.next + Int(segment.window))
            receive.acknowledged = receive.next
        }
        if isFirst {
            send.next = send.initial + 1
            sentAt = context.now
            flags.insert(.timing)
            progressAt = context.now
            if flags.contains(.fastOpen) { addFastOpen(to: &segment, &context) }
        } else if rtt.expirations > 0 {
            // Karn: which of the two was answered cannot be told.
            flags.insert(.synRetransmitted)
            retransmittedSegments &+= 1
            context.retransmittedSegments &+= 1
        }
        if retransmitAt == .distantFuture {
            retransmitAt = context.now.advanced(byNanoseconds: rtt.timeout(context.parameters))
        }
        return segment
    }

    /// What a SYN of ours offers; a SYN-ACK only what the SYN offered (RFC 7323 §1.3).
    private func synOptions(_ context: borrowing Context) -> TCPOptions {
        var options = TCPOptions()
        options.maximumSegmentSize = linkSegmentSize
        let replies = state != .synSent
        if replies ? flags.contains(.sack) : context.parameters.selectiveAcknowledgment { options.sackPermitted = true }
        if replies ? flags.contains(.timestamps) : context.parameters.timestamps {
            options.timestamps = TCPTimestamps(
                value: timestampClock(context.now), echo: replies ? recentTimestamp : 0)
        }
        if replies ? flags.contains(.peerScales) : context.parameters.windowScaling {
            options.windowScale = receive.scale
        }
        return options
    }

    /// Makes a connection out of a half-open entry whose SYN-ACK was just acknowledged by `header`: it stands in
    /// SYN-RECEIVED, and the segment is then received like any other.
    package mutating func resumePassive(
        peerInitial: SequenceNumber, advertised: Int, synAck: SynAckTime, _ context: borrowing Context
    ) {
        flags.insert(.passive)
        receive.initial = peerInitial
        receive.next = peerInitial + 1
        receive.acknowledged = receive.next
        receive.edge = receive.next + advertised
        send.next = send.initial + 1
        switch synAck {
        case .once(let sentAt):
            self.sentAt = sentAt
            flags.insert(.timing)
        case .again: flags.insert(.synRetransmitted)
        case .unknown: break
        }
    }
}

/// What is known of when a SYN-ACK left.
package enum SynAckTime {
    /// It was sent once, then.
    case once(Instant)
    /// It was sent again: which of them was answered cannot be told (Karn).
    case again
    /// Nothing was kept of it. The first octets will tell the round trip; nothing says that anything was lost.
    case unknown
}
