import TCPEngine
import TCPWire

// Half-open connections: SYN-RECEIVED after a passive OPEN, as small entries.
extension Stack {
    /// The slot of the listener that serves `key`; one bound to the address before one bound to all.
    func listener(for key: FlowKey) -> Int? {
        var found: Int?
        let family: AddressFamilies = localAddress(key).isIPv4 ? .ipv4 : .ipv6
        for index in 0..<listeners.count
        where listeners[index].isOpen && listeners[index].port == key.localPort
            && listeners[index].families.contains(family)
        {
            guard let address = listeners[index].address else {
                found = found ?? index
                continue
            }
            if address == localAddress(key) { return index }
        }
        return found
    }

    /// The most half-open entries a listener may have.
    func halfOpenLimit(_ listener: Int) -> Int {
        min(max(listeners[listener].backlog, 16), max(configuration.halfOpenPerListener, 1))
    }

    /// Whether an entry may be kept for a SYN (RFC 4987 §3.3): within the bounds of the listener and of the stack, of which
    /// one source takes no more than its share, and while there is memory. What gives way is the newcomer, never the oldest:
    /// with a cookie it loses nothing, whereas a flood that drove out the oldest would drive out honest peers far away.
    func mayKeepEntry(_ key: FlowKey, _ listener: Int) -> Bool {
        let limit = halfOpenLimit(listener)
        let total = max(configuration.halfOpenConnections, 1)
        guard listeners[listener].halfOpen < limit, halfOpenCount < total,
            context.held < context.budget.marks.cookies
        else { return false }
        return sources.count(key, secret, port: key.localPort) < share(of: limit)
            && sources.count(key, secret, port: 0) < share(of: total)
    }

    /// What one source may take of that many places, 1 at least.
    func share(of whole: Int) -> Int {
        let share = min(max(configuration.halfOpenShare, 1), 100)
        return max(1, whole / 100 &* share &+ whole % 100 &* share / 100)
    }

    /// RFC 9293 §3.10.7.2, third: a SYN in LISTEN. Octets on it are not taken without a Fast Open cookie: the peer sends them
    /// again (U-4).
    mutating func receiveSyn(
        _ header: TCPHeader, _ payload: RawSpan, _ key: FlowKey, _ hash: UInt32, listener: Int,
        minimumISN: SequenceNumber?
    ) throws(PacketFault) {
        try checkRoom(listener)
        let request = fastOpenRequest(header, key, listener)
        if case .open(let renews) = request, mayOpenFast(key, listener),
            openFast(header, payload, key, hash, listener, initial: freshISN(key, minimumISN), givesCookie: renews)
        {
            return
        }
        // A connection in TIME-WAIT has just given its place to this SYN, and no cookie could be larger than its numbers.
        guard minimumISN == nil else {
            try keepEntry(header, key, hash, listener, minimumISN, request)
            return
        }
        if configuration.synCookies == .always {
            sendCookie(header, key, listener: listener)
        } else if mayKeepEntry(key, listener) {
            do throws(PacketFault) {
                try keepEntry(header, key, hash, listener, nil, request)
            } catch {
                guard configuration.synCookies != .never else { throw error }
                sendCookie(header, key, listener: listener)
            }
        } else if configuration.synCookies == .underPressure {
            sendCookie(header, key, listener: listener)
        } else {
            listeners[listener].tally.refusedForHalfOpen &+= 1
            throw .tooManyHalfOpen
        }
    }

    private mutating func keepEntry(
        _ header: TCPHeader, _ key: FlowKey, _ hash: UInt32, _ listener: Int, _ minimumISN: SequenceNumber?,
        _ request: FastOpenRequest
    ) throws(PacketFault) {
        var info: SmallEntry.Info = []
        let options = header.options
        if configuration.timestamps, options.timestamps != nil { info.insert(.timestamps) }
        if configuration.selectiveAcknowledgment, options.sackPermitted { info.insert(.sack) }
        info.scale = configuration.windowScaling ? options.windowScale : nil
        if request == .giveCookie { info.insert(.cookieAsked) }
        var entry = SmallEntry(
            key: key, info: info, send: freshISN(key, minimumISN), receive: header.sequence,
            timestamp: options.timestamps?.value ?? 0,
            segmentSize: options.maximumSegmentSize.map { max($0, 1) } ?? 0, shared: UInt16(listener))
        entry.ecn = AgreedECN(agreedECN(header, listener), arrivedAs: context.codepoint)
        makeRoom(for: Slab<SmallEntry>.chunkBytes &+ 2 &* flowTable.bytes)
        let keeping = context.budget.marks.keptBack
        guard let slot = tables.entries.insert(entry, keeping: keeping, &context.budget) else { throw .noMemory }
        guard flowTable.insert(.entry(slot), hash: hash, tables, secret, &context.budget) else {
            tables.entries.remove(slot, &context.budget)
            throw .noMemory
        }
        listeners[listener].halfOpen &+= 1
        halfOpenCount &+= 1
        sources.add(key, secret)
        record(key, from: .listen, to: .synReceived)
        replySynAck(slot)
        wheel.reschedule(.entry(slot), at: synAckDeadline(retries: 0), &tables)
    }

    /// What a listener agrees to when it gets this SYN.
    func agreedECN(_ header: TCPHeader, _ listener: Int) -> ECN.Feedback {
        ECN.answer(
            to: header.flags, arrivedAs: context.codepoint,
            wanted: listeners[listener].options.explicitCongestionNotification
                ?? configuration.explicitCongestionNotification)
    }

    /// The ISS for a SYN: larger than what a connection in TIME-WAIT used that it takes the place of (RFC 1122 §4.2.2.13).
    private func freshISN(_ key: FlowKey, _ minimum: SequenceNumber?) -> SequenceNumber {
        let initial = initialSequence(key)
        guard let minimum, initial <= minimum else { return initial }
        return minimum + 64_000
    }

    private func synAckDeadline(retries: Int) -> Instant {
        context.now.advanced(byNanoseconds: context.parameters.initialRTO &<< Int64(retries))
    }

    mutating func replySynAck(_ slot: UInt32) {
        guard !tables.entries[slot].info.contains(.replyDue) else { return }
        var packet = ControlPacket(kind: .synAck, key: tables.entries[slot].key)
        packet.entry = slot
        if interfaces[interface(of: packet.key)].control.append(packet, &context.budget) {
            tables.entries[slot].info.insert(.replyDue)
        } else {
            counts.repliesDropped &+= 1
        }
    }

    /// RFC 6528 §3: a clock of 4 µs, and a keyed function of the four-tuple.
    func initialSequence(_ key: FlowKey) -> SequenceNumber {
        initialSequence(key, at: context.now)
    }

    func initialSequence(_ key: FlowKey, at now: Instant) -> SequenceNumber {
        if let fixed = configuration.fixedInitialSequence { return fixed }
        let clock = UInt32(truncatingIfNeeded: now.nanoseconds / 4_000)
        return SequenceNumber(clock &+ UInt32(truncatingIfNeeded: key.digest(secret, salt: 1)))
    }

    /// Where a connection's timestamp clock starts (RFC 7323 §7.1).
    func timestampOffset(_ key: FlowKey) -> UInt32 { UInt32(truncatingIfNeeded: key.digest(secret, salt: 2)) }

    /// The window a SYN-ACK advertises where its listener has no other.
    var synWindow: Int { min(65535, context.parameters.initialReceiveBuffer) }

    /// A segment for a small entry.
    mutating func receive(
        inEntry slot: UInt32, _ header: TCPHeader, _ payload: RawSpan, _ hash: UInt32
    ) throws(PacketFault) {
        if tables.entries[slot].info.contains(.timeWait) {
            try receiveInTimeWait(slot, header, payload, hash)
        } else {
            try receiveHalfOpen(slot, header, payload, hash)
        }
    }

    /// RFC 9293 §3.10.7.4 for SYN-RECEIVED that was reached by a passive OPEN.
    private mutating func receiveHalfOpen(
        _ slot: UInt32, _ header: TCPHeader, _ payload: RawSpan, _ hash: UInt32
    ) throws(PacketFault) {
        let key = tables.entries[slot].key
        let next = tables.entries[slot].receive + 1
        let offset = header.sequence.distance(from: next)
        let length =
            payload.byteCount &+ (header.flags.contains(.syn) ? 1 : 0) &+ (header.flags.contains(.fin) ? 1 : 0)
        let window = listeners[Int(tables.entries[slot].listener)].synWindow
        let isAcceptable = offset < window && offset &+ max(length, 1) > 0
        if header.flags.contains(.rst) {
            // RFC 5961 §3.2; the listener goes on as if nothing had been (RFC 9293 MUST-11).
            if offset == 0 {
                dropEntry(slot, hash)
                record(key, from: .synReceived, to: .listen)
            } else if isAcceptable {
                challenge(entry: slot)
            }
            return
        }
        if header.flags.contains(.syn) {
            if offset == -1, !header.flags.contains(.ack) {
                // The same SYN again: our SYN-ACK was lost or is slow. A bare ACK would be thrown away in SYN-SENT.
                guard noteSynAgain(slot, header) else {
                    replyWithReset(header, payload.byteCount, key)
                    dropEntry(slot, hash)
                    record(key, from: .synReceived, to: .listen)
                    return
                }
                replySynAck(slot)
            } else if isAcceptable {
                dropEntry(slot, hash)
                record(key, from: .synReceived, to: .listen)
            } else {
                challenge(entry: slot)
            }
            return
        }
        if tables.entries[slot].info.contains(.timestamps), let timestamps = header.options.timestamps,
            Int32(bitPattern: timestamps.value &- tables.entries[slot].timestamp) < 0
        {
            answerUnacceptable(slot, length: length)
            return
        }
        guard isAcceptable else {
            answerUnacceptable(slot, length: length)
            return
        }
        guard header.flags.contains(.ack) else { throw .noConnection }
        guard header.acknowledgment == tables.entries[slot].send + 1 else {
            // A SYN before this entry's may have got a cookie.
            if try takeCookie(inPlaceOf: slot, header, payload, hash) { return }
            send(ControlPacket(kind: .reset, key: key, sequence: header.acknowledgment))
            return
        }
        try promote(slot, header, payload, hash)
    }

    /// The SYN again, with other flags perhaps. What it asks for is settled (RFC 9768 §3.1.5), but for ECN of RFC 3168, of
    /// which there is none once a SYN comes without (§6.1.1). Says whether it may ask for that: a SYN for accurate ECN and one
    /// for RFC 3168 exclude each other.
    private mutating func noteSynAgain(_ slot: UInt32, _ header: TCPHeader) -> Bool {
        let before = tables.entries[slot].ecn.feedback
        guard before != .none else { return true }
        let now = agreedECN(header, Int(tables.entries[slot].listener))
        guard now != .none else {
            if before == .classic { tables.entries[slot].ecn = AgreedECN() }
            tables.entries[slot].ecn.arrivedAs = context.codepoint
            tables.entries[slot].ecn.sendsPlain = true
            return true
        }
        tables.entries[slot].ecn.arrivedAs = context.codepoint
        tables.entries[slot].ecn.isAgain = true
        return now == before
    }

    private mutating func takeCookie(
        inPlaceOf slot: UInt32, _ header: TCPHeader, _ payload: RawSpan, _ hash: UInt32
    ) throws(PacketFault) -> Bool {
        let listener = Int(tables.entries[slot].listener)
        let key = tables.entries[slot].key
        guard isCookie(header, key, listener) else { return false }
        try checkRoom(listener)
        dropEntry(slot, hash)
        record(key, from: .synReceived, to: .listen)
        return try takeCookie(header, payload, key, hash, listener: listener)
    }

    /// The third segment came: the entry becomes a connection.
    private mutating func promote(
        _ slot: UInt32, _ header: TCPHeader, _ payload: RawSpan, _ hash: UInt32
    ) throws(PacketFault) {
        let listener = Int(tables.entries[slot].listener)
        // The peer believes the connection open. With no room it hears nothing, and its data or our SYN-ACK try again.
        try checkRoom(listener)
        let key = tables.entries[slot].key
        let info = tables.entries[slot].info
        // The entry's timer says when its only SYN-ACK left.
        let synAck: SynAckTime =
            info.retries > 0 ? .again : .once(context.now.advanced(byNanoseconds: -synAckAge(slot)))
        let peer = PassivePeer(
            initial: tables.entries[slot].send, peerInitial: tables.entries[slot].receive,
            segmentSize: tables.entries[slot].segmentSize, scale: info.scale,
            sack: info.contains(.sack),
            timestamp: info.contains(.timestamps) ? tables.entries[slot].timestamp : nil, synAck: synAck,
            ecn: tables.entries[slot].ecn)
        let new = try makePassive(peer, key, listener)
        flowTable.replace(.entry(slot), with: .connection(new), hash: hash)
        forgetEntry(slot)
        finishPassive(new, header, payload, listener)
    }

    /// Nanoseconds since the SYN-ACK of an entry that was answered after its first.
    private func synAckAge(_ slot: UInt32) -> Int64 {
        let due = Int64(tables.entries[slot].timer.tick) &<< 17
        let sent = due &- context.parameters.initialRTO
        let now = context.now.nanoseconds & (1 &<< 49 &- 1)
        let age = now &- (sent & (1 &<< 49 &- 1))
        // The timer's tick is rounded up: an answer within a tick seems to come before what it answers.
        return max(1, age < -(1 &<< 48) ? age &+ 1 &<< 49 : age)
    }

    /// Takes an entry out of everything but the flow table, where something else has taken its place.
    private mutating func forgetEntry(_ slot: UInt32) {
        if tables.entries[slot].info.contains(.timeWait) {
            timeWaits.remove(slot, &tables)
        } else {
            wheel.cancel(.entry(slot), &tables)
            sources.remove(tables.entries[slot].key, secret)
            halfOpenCount &-= 1
            listeners[Int(tables.entries[slot].listener)].halfOpen &-= 1
        }
        tables.entries.remove(slot, &context.budget)
    }

    /// Forgets an entry.
    mutating func dropEntry(_ slot: UInt32, _ hash: UInt32) {
        flowTable.remove(.entry(slot), hash: hash, tables, secret, &context.budget)
        forgetEntry(slot)
    }

    /// A half-open entry's timer fired.
    mutating func fireEntry(_ slot: UInt32) {
        let key = tables.entries[slot].key
        let retries = tables.entries[slot].info.retries
        guard retries < min(configuration.synAckRetries, 15) else {
            dropEntry(slot, key.hash(secret))
            record(key, from: .synReceived, to: .listen)
            return
        }
        tables.entries[slot].info.retries = retries &+ 1
        context.retransmittedSegments &+= 1
        replySynAck(slot)
        wheel.reschedule(.entry(slot), at: synAckDeadline(retries: retries &+ 1), &tables)
    }

    /// RFC 9293 §3.10.7.4, first: an acknowledgment in reply. A segment without octets has no sender that waits for one.
    mutating func answerUnacceptable(_ slot: UInt32, length: Int) {
        if length > 0 { replyAcknowledgment(slot) } else { challenge(entry: slot) }
    }

    /// RFC 5961 §7: what nobody asked for is answered three times a second at most, so that two ends that disagree about
    /// the connection do not answer each other's acknowledgments for ever.
    mutating func challenge(entry slot: UInt32) {
        let second = UInt8(context.now.nanoseconds / 1_000_000_000 & 1) &<< 2
        let used = tables.entries[slot].info.challenges
        let count = used & 4 == second ? used & 3 : 0
        guard count < 3 else { return }
        tables.entries[slot].info.challenges = second | (count &+ 1)
        counts.challengeAcknowledgments &+= 1
        replyAcknowledgment(slot)
    }

    mutating func replyAcknowledgment(_ slot: UInt32) {
        var packet = ControlPacket(kind: .acknowledgment, key: tables.entries[slot].key)
        packet.entry = slot
        send(packet)
    }
}
