internal import TCPEngine
internal import TCPStack
internal import TCPTrace
internal import TCPWire

/// What is wrong with a world.
package struct Finding: Hashable, Sendable {
    /// The rule that is broken.
    package enum Rule: String, Sendable {
        /// Both ends agree on the octets: what is read is what was written, in its order.
        case stream
        /// The end of the stream comes after all octets, and only when the peer has closed.
        case endOfStream
        /// No end holds a connection for open that the other never had.
        case ghost
        /// Nothing waits to be sent or acknowledged without a timer.
        case deadlock
        /// A timer that is due fires.
        case timers
        /// States change along RFC 9293's diagram.
        case states
        /// Every byte charged is held by something.
        case memory
        /// A packet calls for a bounded number of packets.
        case storm
        /// From every world a fair network leads to both ends closed.
        case fairEnd
        /// Where both ends closed without an error, all octets arrived.
        case completeness
    }

    package var rule: Rule
    /// The end where it was seen.
    package var end: Int
    /// What was seen, in a sentence.
    package var text: String
}

// What has to hold in every world.
extension World {
    func check() {
        for host in hosts where finding == nil {
            for flow in host.stack.inspect() {
                if flow.isSynchronized { checkPeerHad(flow, host) }
                if flow.isOutstanding, !flow.hasTimer { checkNotStuck(flow, host) }
            }
            if fault == .stoppedClock, host.index == 0 { checkStoppedClock(host) }
            if let fault = host.stack.audit() {
                fail(.memory, at: host, "The \(host.name)'s tables do not add up: \(fault).")
            }
            if host.stack.budgetRefusals > 0 { fail(.memory, at: host, "The \(host.name) ran out of memory.") }
        }
    }

    /// A connection that counts as open here must have been one with the same two ISNs there.
    private func checkPeerHad(_ flow: FlowInspection, _ host: Host) {
        guard let local = flow.initial, let remote = flow.peerInitial else { return }
        let peer = hosts[1 - host.index]
        guard !peer.pairs.contains(SequencePair(local: remote, remote: local)) else { return }
        fail(
            .ghost, at: host,
            "The \(host.name) is in \(flow.state) with a connection that the \(peer.name) never had.")
    }

    /// RFC 9293 §3.8.1, RFC 6298 §5.1: a timer runs while something is not acknowledged.
    private func checkNotStuck(_ flow: FlowInspection, _ host: Host) {
        fail(
            .deadlock, at: host,
            "The \(host.name) is in \(flow.state), has something to send or to be acknowledged, and no timer runs.")
    }

    /// A host without a clock has no timers, whatever its stack says.
    private func checkStoppedClock(_ host: Host) {
        guard flight.isEmpty, let flow = host.stack.inspect().first(where: { $0.isOutstanding }) else { return }
        checkNotStuck(flow, host)
    }

    /// What was read has to be what the other end wrote on this connection.
    func checkOctets(_ octets: ArraySlice<UInt8>, _ host: Host) {
        let life = host.lives.count - 1
        guard let numbers = host.connection.flatMap({ host.stack.initialSequences(of: $0) }) else { return }
        let peer = hosts[1 - host.index]
        guard let source = peer.life(initial: numbers.receive) else {
            return fail(
                .stream, at: host, "The \(host.name) read octets of a connection that the \(peer.name) never had.")
        }
        var octets = octets
        if fault == .losesOctet, octets.count > 1 { octets.removeFirst() }
        for octet in octets {
            let offset = host.lives[life].read
            guard offset < peer.lives[source].written, octet == peer.octet(source, offset) else {
                return fail(
                    .stream, at: host,
                    "Octet \(offset) that the \(host.name) read is not the one the \(peer.name) wrote.")
            }
            host.lives[life].read += 1
        }
    }

    /// The peer must have closed, and all it wrote must have been read.
    func checkEnd(_ host: Host) {
        let life = host.lives.count - 1
        guard !host.lives[life].sawEnd else { return }
        host.lives[life].sawEnd = true
        recorder?.acted(.endOfStream, host, self)
        let peer = hosts[1 - host.index]
        guard let numbers = host.connection.flatMap({ host.stack.initialSequences(of: $0) }),
            let source = peer.life(initial: numbers.receive)
        else {
            return fail(
                .endOfStream, at: host, "The \(host.name) reads the end of a stream that the \(peer.name) never had.")
        }
        guard peer.lives[source].isClosed else {
            return fail(
                .endOfStream, at: host,
                "The \(host.name) reads the end of the stream, but the \(peer.name) has not closed.")
        }
        guard peer.lives[source].written == host.lives[life].read else {
            return fail(
                .endOfStream, at: host,
                "The \(host.name) reads the end of the stream after \(host.lives[life].read) of \(peer.lives[source].written) octets."
            )
        }
    }

    /// States move along RFC 9293 §3.3.2, figure 5, one step after the other; anything can end by a reset, an abort or a
    /// timeout.
    func takeChanges(_ host: Host) {
        while let change = host.stack.nextStateChange() {
            guard change.remote.port != 0 else { continue }
            recorder?.changed(change, host, self)
            if hidesChanges, change.to == .established {
                hidesChanges = false
                continue
            }
            // A listener's LISTEN and CLOSED are both: no connection.
            let from = change.from == .listen ? .closed : change.from
            if from != host.toldState || !World.isMove(change.from, change.to) {
                fail(
                    .states, at: host,
                    "The \(host.name) goes from \(change.from) to \(change.to), and was in \(host.toldState).")
            }
            host.toldState = change.to == .listen ? .closed : change.to
        }
        if host.stack.counters.impossibleStates > 0 {
            fail(.states, at: host, "The \(host.name) met a state that cannot be.")
        }
    }

    static func isMove(_ from: State, _ to: State) -> Bool {
        switch from {
        case .closed: to == .synSent || to == .listen
        case .listen: to == .synReceived || to == .synSent || to == .closed
        case .synSent: to == .synReceived || to == .established || to == .closed
        case .synReceived: to == .established || to == .finWait1 || to == .listen || to == .closed
        case .established: to == .finWait1 || to == .closeWait || to == .closed
        case .finWait1: to == .finWait2 || to == .closing || to == .timeWait || to == .closed
        case .finWait2, .closing: to == .timeWait || to == .closed
        case .closeWait: to == .lastAck || to == .closed
        case .lastAck, .timeWait: to == .closed
        }
    }
}
