import TCPWire

// The link asks for a segment (RFC 9293 §3.7, §3.8): the next one that may be sent, or none.
extension Connection {
    /// Whether `compose` is worth a call now.
    package func mayTransmit(_ context: borrowing Context) -> Bool {
        if !flags.isDisjoint(with: [.acknowledgeNow, .retransmit, .probe, .keepAliveProbe, .tailProbe]) { return true }
        if receive.duplicates > 0 { return true }
        switch state {
        case .closed, .listen: return false
        case .synSent, .synReceived: return send.next == send.initial || sendsEarly && unsent > 0
        default: return hasMore && isPacedOut(context.now)
        }
    }

    /// Whether there are octets or a FIN to send, or to send again.
    var hasMore: Bool { transmissions.lostOctets > 0 || unsent > 0 || isFinDue && !isFinSent }

    /// The next segment. `superSegment` is the largest payload with options that the link cuts into segments itself, or
    /// zero. What is returned counts as sent now: the timers start.
    package mutating func compose(superSegment: Int, _ context: inout Context) -> OutgoingSegment? {
        switch state {
        case .closed, .listen: return nil
        case .synSent, .synReceived: if !sendsEarly { return composeSyn(&context) }
        default:
            if flags.contains([.synUnanswered, .retransmit]) { return composeSyn(&context) }
        }
        // RFC 9768 §3.2.2.1: the field of the SYN-ACK is told by a segment without octets.
        if receive.duplicates > 0 || flags.contains(.acknowledgeNow) && ecn.marks.contains(.handshakeDue) {
            return composeAcknowledgment(&context)
        }
        if flags.contains(.keepAliveProbe) {
            flags.remove(.keepAliveProbe)
            return composeEmpty(sequence: send.next + -1, &context)
        }
        agePath(context)
        var options = commonOptions(context)
        let size = max(segmentSize &- sackLength(options), 8)
        if flags.contains(.probe), let probe = composeProbe(options, &context) { return probe }
        if flags.contains(.tailProbe), let probe = composeTailProbe(options, size: size, &context) { return probe }
        if let segment = composeRetransmission(options, size: size, &context) { return segment }
        // What goes again may have been lost for the option of accurate ECN (RFC 9768 §3.2.3.2.2).
        addMarkedOctets(to: &options, test: .tellsOctets)
        let newSize = max(size &- (options.accurateECN?.encodedLength ?? 0), 8)
        let limit = superSegment == 0 ? newSize : max(newSize, superSegment &- options.encodedLength)
        if isPacedOut(context.now), let segment = composeNew(&options, size: newSize, limit: limit, &context) {
            return segment
        }
        if retransmitAt == .distantFuture, inFlight == 0, unsent > 0 || isFinDue && !isFinSent {
            // The window holds back what there is, and nothing in flight will bring an acknowledgment: RFC 9293 §3.8.6.1,
            // and the override time-out of §3.8.6.2.1.
            retransmitAt = context.now.advanced(byNanoseconds: rtt.timeout(context.parameters))
            // RFC 9293 §3.8.3: R2 counts from here, not from when something was last acknowledged.
            unansweredAt = context.now
        }
        return flags.contains(.acknowledgeNow) ? composeAcknowledgment(&context) : nil
    }

    private func sackLength(_ options: TCPOptions) -> Int {
        options.sackCount > 0 ? 4 &+ 8 &* options.sackCount : 0
    }

    /// Octets believed to be in the network (RFC 6675 §2).
    package var pipe: Int { max(0, transmissions.pipe &- Int(recovery.departed)) }

    /// Octets SND.WND leaves past SND.NXT; negative when the peer took window back (RFC 9293 MUST-34).
    var windowRoom: Int { Int(send.window) &- send.next.distance(from: send.unacknowledged) }

    /// Options that every segment of an open connection carries (RFC 7323 §3.2), and the SACK blocks there are to report.
    private func commonOptions(_ context: borrowing Context) -> TCPOptions {
        var options = TCPOptions()
        if flags.contains(.timestamps) {
            options.timestamps = TCPTimestamps(value: timestampClock(context.now), echo: recentTimestamp)
        }
        if flags.contains(.sack), let reassembly {
            if !context.parameters.reportsDuplicates { reassembly.duplicate = nil }
            reassembly.fillSACK(&options, room: options.timestamps == nil ? 4 : 3)
        }
        return options
    }

    // MARK: New data

    private mutating func composeNew(
        _ options: inout TCPOptions, size: Int, limit: Int, _ context: inout Context
    ) -> OutgoingSegment? {
        let unsent = self.unsent
        let wantsFin = isFinDue && !isFinSent
        guard unsent > 0 || wantsFin, makeSender(&context), transmissions.makeRoom(for: 1, &context) else { return nil }
        restartIfIdle(context)
        let room = windowRoom
        // RFC 3168 §6.1.2: CWR is on the first new segment alone, and a super-segment would repeat it.
        let limit = ecn.marks.contains(.reducedDue) ? size : limit
        switch nextProbe(unsent, room: room, options, context) {
        case .none:
            let count = sendable(unsent, room: room, size: size, limit: pacedLimit(limit, size: size, context))
            guard count > 0 || unsent == 0 && wantsFin && room > 0 else { return nil }
            let segment = newSegment(count, options, size: size, &context)
            if count >= size { awaitProof(of: segment.sequence + size) }
            return segment
        case .wait: return nil
        case .send(let octets):
            let segment = newSegment(octets, options, size: octets, &context)
            probeSent(octets, &context)
            return segment
        }
    }

    /// draft-ietf-ccwg-bbr §4.1.2.4: where there is room and nothing to send, what is measured is the program's rate.
    mutating func noteApplicationLimited() {
        guard hasSender, unsent == 0, transmissions.lostOctets == 0, pipe < Int(congestion.window) else { return }
        rate.markApplicationLimited(inFlight: pipe)
    }

    /// RFC 5681 §4.1: after a silence longer than the RTO nothing is known of the path.
    private mutating func restartIfIdle(_ context: borrowing Context) {
        let idle = context.now.nanoseconds &- sentAt.nanoseconds
        guard inFlight == 0, idle > rtt.timeout(context.parameters) else { return }
        congestion.restartAfterIdle(
            segmentSize: segmentSize, initialSegments: context.parameters.initialSegments, idle: idle,
            timeout: rtt.timeout(context.parameters))
        beginValidation(Connection.clock(context))
    }

    /// The next `count` octets, and the FIN behind the last; there is room for a record of them.
    mutating func newSegment(
        _ count: Int, _ options: TCPOptions, size: Int, _ context: inout Context
    ) -> OutgoingSegment {
        let start = send.next
        let isLast = count == unsent
        let hasFin = isLast && isFinDue && !isFinSent && windowRoom > count
        var segment = dataSegment(start, count, options, size: size)
        if count > 0 { markNewData(&segment, &context) }
        if count > 0, isLast { segment.flags.insert(.psh) }
        if hasFin { segment.flags.insert(.fin) }
        let idle = inFlight == 0
        if idle, rate.isAppLimited { congestion.noteRestart(rate, now: context.now) }
        let length = count &+ (hasFin ? 1 : 0)
        record(start + length, context)
        if count > 0, count % size != 0 { smallEnd = send.next }
        flags.remove(.overrideSWS)
        if idle { unansweredAt = context.now }
        // RFC 6298 §5.1.
        if retransmitAt == .distantFuture || idle {
            retransmitAt = context.now.advanced(byNanoseconds: rtt.timeout(context.parameters))
        }
        scheduleTailProbe(context)
        validateWindow(context)
        offerRoom(context)
        finish(&segment, &context)
        return segment
    }

    /// Everything up to `end` is sent: SND.NXT.
    private mutating func record(_ end: SequenceNumber, _ context: borrowing Context) {
        let length = end.distance(from: send.next)
        noteSending(from: send.next, length, context)
        var record = Transmission(sentAt: sentAt, end: end)
        (record.stamp, record.word) = rate.stamp(now: context.now, inFlightBefore: pipe, length: length)
        send.next = end
        transmissions.append(record)
    }

    /// So many octets leave, new ones or old. What leaves at one moment is told apart by sequence numbers (RFC 8985 §6.2), so
    /// what is sent again after newer data gets a moment of its own.
    private mutating func noteSending(from start: SequenceNumber, _ octets: Int, _ context: borrowing Context) {
        if context.now > sentAt {
            sentAt = context.now
        } else if start < sentEnd {
            sentAt = sentAt.advanced(byNanoseconds: 1)
        }
        sentEnd = start + octets
        if recovery.reducesWindow { recovery.reduction.send(octets) }
        pace(octets, context)
    }

    /// How much of what waits may go now: RFC 9293 §3.8.6.2.1 (silly windows), §3.7.4 (Nagle), RFC 5681 §3.1 (cwnd).
    private func sendable(_ unsent: Int, room: Int, size: Int, limit: Int) -> Int {
        guard unsent > 0 else { return 0 }
        let pipe = self.pipe
        let congestionRoom = Int(congestion.window) &- pipe
        let usable = min(room, congestionRoom)
        guard usable > 0 else { return 0 }
        let available = min(unsent, usable)
        // All that waits fits.
        if unsent <= usable, unsent <= limit {
            let tail = unsent % size
            if tail == 0 || maySendSmall { return unsent }
            return unsent &- tail
        }
        let full = min(available, limit) / size &* size
        if full > 0 { return full }
        if congestionRoom < min(unsent, size), pipe > 0 { return 0 }
        // Fs = 1/2 of the largest window there was, with nothing in flight.
        if inFlight == 0, available &* 2 >= Int(send.maximumWindow) { return available }
        return flags.contains(.overrideSWS) ? available : 0
    }

    /// Nagle's algorithm as RFC 9293 appendix A.3 refines it: one small segment may be unacknowledged at a time.
    var maySendSmall: Bool {
        if isFinDue || flags.contains(.overrideSWS) { return true }
        // The program says that the rest of the segment follows: RFC 9293 §3.9.1.2 without PUSH.
        if !flags.isDisjoint(with: [.corked, .more]) { return false }
        if flags.contains(.noDelay) { return true }
        return smallEnd <= send.unacknowledged || inFlight == 0
    }

    func dataSegment(
        _ start: SequenceNumber, _ count: Int, _ options: TCPOptions, size: Int
    ) -> OutgoingSegment {
        var segment = OutgoingSegment(sequence: start, flags: .ack)
        segment.options = options
        segment.payloadOffset = start.distance(from: queueStart)
        segment.payloadLength = count
        segment.segmentSize = count > size ? size : 0
        return segment
    }

    // MARK: Old data

    /// A retransmission: what a timeout sends whatever the window, else the first that is lost, if the congestion window
    /// has room for it (RFC 6675 §4, NextSeg rule 1).
    private mutating func composeRetransmission(
        _ options: TCPOptions, size: Int, _ context: inout Context
    ) -> OutgoingSegment? {
        guard inFlight > 0, send.window > 0, isSynAcknowledged, let lost = transmissions.firstLost else {
            flags.remove(.retransmit)
            return nil
        }
        if flags.contains(.retransmit) {
            flags.remove(.retransmit)
        } else {
            // RFC 5682 §3.1 step 2 b: new data goes first, as long as it is not known that anything was lost.
            guard recovery.forward != .waitsForSecond, isPacedOut(context.now) else { return nil }
            let pipe = self.pipe
            guard Int(congestion.window) &- pipe >= size || pipe == 0 || recovery.phase == .divided else { return nil }
        }
        // RFC 9293 SHLD-16: old data goes again within the window as it is now.
        let end = SequenceNumber.earlier(lost.end, send.unacknowledged + Int(send.window))
        guard lost.start < end else { return nil }
        return retransmission(from: lost.start, to: end, options, size: size, &context)
    }

    mutating func retransmission(
        from start: SequenceNumber, to end: SequenceNumber, _ options: TCPOptions, size: Int, _ context: inout Context
    ) -> OutgoingSegment {
        let data = max(0, min(end.distance(from: start), finSequence.distance(from: start)))
        let count = min(data, size)
        var segment = dataSegment(start, count, options, size: size)
        let carriesFin = isFinSent && start + count == finSequence && end > finSequence
        if carriesFin { segment.flags.insert(.fin) }
        if count > 0, start + count == finSequence { segment.flags.insert(.psh) }
        let length = count &+ (carriesFin ? 1 : 0)
        let after = start + length
        sentAgain(from: start, to: after)
        noteSending(from: start, length, context)
        let (stamp, word) = rate.stamp(now: context.now, inFlightBefore: pipe, length: length)
        transmissions.sendAgain(from: start, to: after, at: sentAt, stamp, word, &context)
        if recovery.phase == .fast || recovery.phase == .timeout {
            recovery.undo?.noteSentAgain(
                length, timestamp: flags.contains(.timestamps) ? timestampClock(context.now) : nil)
        }
        retransmittedSegments &+= 1
        context.retransmittedSegments &+= 1
        counters.noteSentAgain(count)
        if retransmitAt == .distantFuture {
            retransmitAt = context.now.advanced(byNanoseconds: rtt.timeout(context.parameters))
        }
        finish(&segment, &context)
        return segment
    }

    /// RFC 9293 §3.8.6.1: one octet past a closed window, or the FIN. Its acknowledgment tells the window.
    private mutating func composeProbe(_ options: TCPOptions, _ context: inout Context) -> OutgoingSegment? {
        flags.remove(.probe)
        guard send.window == 0, isSynAcknowledged else { return nil }
        let hasData = sendQueue.count > 0
        guard hasData || isFinDue else { return nil }
        var segment = dataSegment(send.unacknowledged, hasData ? 1 : 0, options, size: 1)
        if !hasData { segment.flags.insert(.fin) }
        if hasData, sendQueue.count == 1 { segment.flags.insert(.psh) }
        if inFlight == 0 {
            guard makeSender(&context), transmissions.makeRoom(for: 1, &context) else { return nil }
            record(send.unacknowledged + 1, context)
            flags.insert(.probing)
        } else {
            retransmittedSegments &+= 1
            context.retransmittedSegments &+= 1
            counters.noteSentAgain(segment.payloadLength)
        }
        // The answer to an earlier probe may have stopped the timer while this one waited for the link.
        if retransmitAt == .distantFuture {
            retransmitAt = context.now.advanced(byNanoseconds: rtt.timeout(context.parameters))
        }
        finish(&segment, &context)
        return segment
    }

    // MARK: Acknowledgments

    /// A segment without data that acknowledges.
    mutating func composeAcknowledgment(_ context: inout Context) -> OutgoingSegment {
        if receive.duplicates > 0 { receive.duplicates &-= 1 }
        // Where the peer took window back, SND.NXT lies outside it, and a segment there would be dropped.
        let edge = send.unacknowledged + Int(send.window)
        return composeEmpty(
            sequence: isSynchronized ? .earlier(send.next, .later(edge, send.unacknowledged)) : send.next, &context)
    }

    private mutating func composeEmpty(sequence: SequenceNumber, _ context: inout Context) -> OutgoingSegment {
        var segment = OutgoingSegment(sequence: sequence, flags: .ack)
        segment.options = commonOptions(context)
        addMarkedOctets(to: &segment.options, test: .handshakeDue)
        finish(&segment, &context)
        return segment
    }

    /// Every segment acknowledges and tells the window.
    private mutating func finish(_ segment: inout OutgoingSegment, _ context: inout Context) {
        segment.acknowledgment = receive.next
        segment.flags.formUnion(ecnFlags(segment))
        segment.window = advertise(context)
        if quickAcknowledgments > 0, receive.acknowledged != receive.next {
            // A program that answers at once gives acknowledgments company: from then on they wait for it.
            let answers =
                segment.payloadLength > 0
                && context.now.nanoseconds &- heardAt.nanoseconds < context.parameters.delayedAcknowledgment
            quickAcknowledgments = answers ? 0 : quickAcknowledgments &- 1
        }
        receive.acknowledged = receive.next
        acknowledgeAt = .distantFuture
        if receive.duplicates == 0 { flags.remove(.acknowledgeNow) }
        if let reassembly {
            if segment.options.sackCount > 0 { reassembly.duplicate = nil }
            if reassembly.isIdle { dropReassembly(&context) }
        }
    }

    /// What any receive queue may hold: two segments, and as much as the window field can tell. A peer whose octets are read is never shut out for good, and no window
    /// update is owed to anybody when memory comes back.
    private var leastWindow: Int { max(BlockPool.blockSize, 2 &* Int(linkSegmentSize), 1 &<< Int(receive.scale)) }

    /// Octets that the receive queue may take besides, as far as memory goes.
    func arrivalRoom(_ context: borrowing Context) -> Int {
        context.room(holding: receiveQueue.count, limit: .max, least: leastWindow)
    }

    /// The window to offer if nothing but memory counts. As that runs out it first stays as it was told last, then shrinks as
    /// octets fill it.
    func openWindow(_ context: borrowing Context) -> Int {
        let room = max(0, receiveLimit(context) &- receiveQueue.count)
        guard context.held >= context.budget.marks.holding else { return room }
        let told = receive.edge.distance(from: receive.acknowledged)
        return min(room, max(min(told, arrivalRoom(context)), leastWindow &- receiveQueue.count))
    }

    /// The window field. Its right edge moves in worthwhile steps (RFC 9293 MUST-39) and never to the left (SHLD-14).
    private mutating func advertise(_ context: borrowing Context) -> UInt16 {
        let limit = receiveLimit(context)
        let known = advertisedWindow
        let unit = 1 &<< Int(receive.scale)
        var window = openWindow(context) / unit &* unit
        if window &- known < min(limit / 2, Int(linkSegmentSize)) { window = known }
        window = max(window, known)
        var field = window / unit
        // Rounded up the edge stays where it is; but not so often that octets pile up past the limit.
        if field &* unit < known, (field &+ 1) &* unit &+ receiveQueue.count <= limit &+ unit { field &+= 1 }
        field = min(field, 65535)
        receive.edge = .later(receive.edge, receive.next + field &* unit)
        return UInt16(field)
    }
}
