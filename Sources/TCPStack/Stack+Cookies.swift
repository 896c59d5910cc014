import TCPEngine
import TCPWire

// SYN cookies (RFC 4987 §3.6): a SYN is answered, and nothing is remembered of it. The third segment brings it all back.
extension Stack {
    private func count() -> Int64 { SynCookie.count(at: context.now) }

    /// Answers a SYN with a cookie.
    mutating func sendCookie(_ header: TCPHeader, _ key: FlowKey, listener: Int) {
        let cookie = SynCookie(
            header.options, isIPv4: key.remote.isIPv4, timestamps: configuration.timestamps,
            sack: configuration.selectiveAcknowledgment, scaling: configuration.windowScaling,
            ecn: agreedECN(header, listener) != .none)
        var packet = ControlPacket(kind: .cookie, key: key)
        packet.sequence = cookie.number(
            key, peerInitial: header.sequence, listener: listeners[listener].generation, count: count(), secret)
        packet.acknowledgment = header.sequence + 1
        packet.entry = UInt32(listener)
        if cookie.hasTimestamps, let offered = header.options.timestamps {
            packet.timestamps = TCPTimestamps(value: cookie.timestamp(timestamp(key)), echo: offered.value)
        }
        guard interfaces[interface(of: key)].control.append(packet, &context.budget) else {
            counts.repliesDropped &+= 1
            return
        }
        counts.cookiesSent &+= 1
        listeners[listener].tally.cookies &+= 1
        listeners[listener].cookieCount = count()
    }

    /// The SYN-ACK with a cookie. It offers what an entry's would, as far as the cookie can remember.
    func cookieSynAck(_ packet: ControlPacket) -> TCPHeader {
        let listener = Int(packet.entry)
        var options = TCPOptions()
        var flags: TCPFlags = [.syn, .ack]
        options.maximumSegmentSize = UInt16(
            clamping: announcedSegmentSize(listeners[listener].options, local: packet.key.local))
        if let timestamps = packet.timestamps {
            let cookie = SynCookie(sizeIndex: 0, echo: timestamps.value)
            options.timestamps = timestamps
            options.sackPermitted = cookie.sack
            flags.formUnion(ECN.synAckFlags(cookie.ecn ? .classic : .none, arrivedAs: .notCapable))
            if cookie.scale != nil { options.windowScale = listeners[listener].windowScale }
        }
        return TCPHeader(
            sourcePort: packet.key.localPort, destinationPort: packet.key.remotePort, sequence: packet.sequence,
            acknowledgment: packet.acknowledgment, flags: flags,
            window: UInt16(listeners[listener].synWindow), options: options)
    }

    /// Whether a listener has sent cookies that can still be good.
    private func awaitsCookies(_ listener: Int) -> Bool {
        count() &- listeners[listener].cookieCount <= 1
    }

    /// A segment with ACK for which there is no connection: if it acknowledges a cookie, it becomes one. Says whether it did.
    ///
    /// - Throws: `queueFull` and `overloaded` while there is no room for a connection, whatever the segment says: only the
    ///   one after the SYN can be told by its number, and a reset in answer to one behind it would end a good connection.
    mutating func takeCookie(
        _ header: TCPHeader, _ payload: RawSpan, _ key: FlowKey, _ hash: UInt32, listener: Int
    ) throws(PacketFault) -> Bool {
        guard awaitsCookies(listener) else { return false }
        try checkRoom(listener)
        guard header.flags.contains(.ack), header.flags.isDisjoint(with: [.syn, .rst]),
            let cookie = verifyCookie(header, key, listener)
        else {
            counts.cookiesRefused &+= 1
            return false
        }
        let peer = PassivePeer(
            initial: header.acknowledgment + -1, peerInitial: header.sequence + -1,
            segmentSize: cookie.segmentSize(isIPv4: key.remote.isIPv4), scale: cookie.scale, sack: cookie.sack,
            // TS.Recent is what the SYN had, or what came since (RFC 7323 §4.3).
            timestamp: cookie.hasTimestamps ? header.options.timestamps?.value : nil, synAck: .unknown,
            ecn: AgreedECN(cookie.ecn ? .classic : .none))
        let new = try makePassive(peer, key, listener)
        guard flowTable.insert(.connection(new), hash: hash, tables, secret, &context.budget) else {
            tables.connections[new].connection.dispose(&context)
            tables.connections.remove(new, &context.budget)
            listeners[listener].queue.giveBack(&context.budget)
            throw .noMemory
        }
        counts.cookiesAccepted &+= 1
        listeners[listener].tally.connectionsByCookie &+= 1
        record(key, from: .listen, to: .synReceived)
        finishPassive(new, header, payload, listener)
        return true
    }

    /// Whether a segment acknowledges a cookie of this listener.
    func isCookie(_ header: TCPHeader, _ key: FlowKey, _ listener: Int) -> Bool {
        awaitsCookies(listener) && verifyCookie(header, key, listener) != nil
    }

    private func verifyCookie(_ header: TCPHeader, _ key: FlowKey, _ listener: Int) -> SynCookie? {
        let echo = configuration.timestamps ? header.options.timestamps?.echo : nil
        if let echo {
            // The clock of a connection is a secret as well: what it never showed cannot be echoed.
            let age = Int32(bitPattern: timestamp(key) &- echo)
            guard age >= 0, Int64(age) &* 1_000_000 <= 2 &* SynCookie.step else { return nil }
        }
        return SynCookie.verify(
            header.acknowledgment + -1, key, peerInitial: header.sequence + -1, echo: echo,
            listener: listeners[listener].generation, at: context.now, secret)
    }
}
