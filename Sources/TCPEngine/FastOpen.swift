package import TCPWire

// TCP Fast Open (RFC 7413): octets that travel with the SYN, and those that answer them before the handshake is over. Which
// cookie goes where, and what is remembered of a server, is the stack's affair.

/// What the SYN or SYN-ACK that is asked for next takes along.
package struct FastOpenOffer: Sendable {
    package var cookie: FastOpenCookie
    /// The MSS the peer had last time, in octets: what bounds the data of the SYN (RFC 7413 §4.1.3).
    package var segmentSize: Int

    package init(cookie: FastOpenCookie, segmentSize: Int = 0) {
        self.cookie = cookie
        self.segmentSize = segmentSize
    }
}

/// What a server's SYN-ACK said to a SYN with the option.
package struct FastOpenOutcome: Sendable {
    /// A cookie to use from now on.
    package var cookie: FastOpenCookie?
    /// Octets of the SYN were acknowledged.
    package var isTaken: Bool
    /// What went with the SYN was lost or ignored (RFC 7413 §4.1.3.1).
    package var isNegative: Bool
}

extension Connection {
    // MARK: Client

    /// The first SYN is to have the option (RFC 7413 §4.2.1).
    package mutating func tryFastOpen() { flags.insert(.fastOpen) }

    /// Whether the next segment is a SYN or SYN-ACK that can take the option: on one that is sent again it would only
    /// be in the way (RFC 7413 §4.2.1, §4.2.2).
    package var wantsFastOpenOffer: Bool {
        send.next == send.initial && (state == .synSent ? flags.contains(.fastOpen) : flags.contains(.cookieDue))
    }

    /// Whether octets went with a SYN that nobody answered (RFC 7413 §4.1.3.1).
    package var failedFastOpen: Bool {
        state == .closed && flags.contains(.synText) && (error == .timedOut || error == .unreachable)
    }

    /// Adds to the first SYN or SYN-ACK what the stack offers for it.
    mutating func addFastOpen(to segment: inout OutgoingSegment, _ context: inout Context) {
        // The octets of an answer may leave behind the SYN-ACK: its own number is then no part of what is in flight.
        if flags.contains(.passive) { send.unacknowledged = send.next }
        guard let offer = context.fastOpenOffer else {
            if state == .synSent { flags.remove(.fastOpen) }
            return
        }
        context.fastOpenOffer = nil
        flags.remove(.cookieDue)
        segment.options.fastOpen = offer.cookie
        guard state == .synSent, !offer.cookie.isRequest else { return }
        // RFC 7413 §4.1.3: no more than the server's MSS, options taken off (RFC 6691), and than the link carries.
        let size = min(offer.segmentSize, Int(min(linkSegmentSize, path.size))) &- segment.options.encodedLength
        let count = min(sendQueue.count, max(0, size))
        guard count > 0 else { return }
        segment.payloadLength = count
        send.next += count
        flags.insert(.synText)
    }

    // MARK: Server

    /// A SYN with a good cookie opens the connection in SYN-RECEIVED, and its octets are taken at once (RFC 7413 §4.2.2).
    /// A FIN on it is left to be sent again. `givesCookie` says that the SYN-ACK brings a new cookie.
    package mutating func openFast(
        _ header: TCPHeader, _ payload: RawSpan, givesCookie: Bool, _ context: inout Context
    ) {
        // The SYN-ACK is due.
        flags.formUnion([.passive, .fastOpen, .retransmit])
        if givesCookie { flags.insert(.cookieDue) }
        takeSyn(header, context)
        agreeOnECN(syn: header.flags, context)
        // RFC 7323 §2.2: the window of a SYN is not scaled.
        send.window = UInt32(header.window)
        send.maximumWindow = send.window
        send.windowSequence = header.sequence
        send.windowAcknowledgment = send.initial
        // RFC 7413 §4.2.2: what answers before the handshake is over keeps to the initial window.
        openPath(context)
        let control = Congestion(
            congestionControl, segmentSize: segmentSize, synWasLost: false,
            initialSegments: context.parameters.initialSegments)
        idleWindow = control.window
        let count = min(payload.byteCount, advertisedWindow)
        let stored =
            count == 0
            ? 0
            : receiveQueue.append(
                payload.extracting(0..<count), keeping: context.keptFromArrivals, &context.pool, &context.budget)
        receive.next += stored
        guard stored > 0 else { return }
        changes.insert(.readable)
        flags.insert(.openedFast)
    }

    /// Whether the peer has yet to show that it got our SYN-ACK.
    package var awaitsThirdSegment: Bool {
        state == .synReceived || state == .finWait1 && flags.contains(.synUnanswered)
    }

    /// Whether octets may leave in SYN-RECEIVED: behind the SYN-ACK that answered a good cookie.
    var sendsEarly: Bool {
        state == .synReceived && flags.contains([.passive, .fastOpen]) && send.next != send.initial
            && !flags.contains(.retransmit)
    }

    // MARK: Both

    /// Whether octets came, or went, with the SYN and were taken.
    package var openedFast: Bool { flags.contains(.openedFast) }

    /// The handshake is over, SND.UNA is one past the SYN: sees to the octets that were sent before it was. `establish`
    /// calls this.
    ///
    /// Of those that went with our SYN the ones that are acknowledged are done, and the others count as never sent: they
    /// leave at once, as new ones (RFC 7413 §4.2.1). Those that we sent behind our SYN-ACK are in flight like any others.
    mutating func finishFastOpen(_ header: TCPHeader, _ context: inout Context) {
        if flags.contains(.passive) {
            if inFlight > 0 { retransmitAt = context.now.advanced(byNanoseconds: rtt.timeout(context.parameters)) }
        } else {
            let isTaken = header.acknowledgment > send.unacknowledged
            if isTaken {
                flags.insert(.openedFast)
                let octets = min(sendQueue.count, header.acknowledgment.distance(from: send.unacknowledged))
                sendQueue.removeFirst(octets, &context.pool, &context.budget)
                send.unacknowledged += octets
            }
            send.next = send.unacknowledged
            if hasSender { transmissions.removeAll(at: send.next, &context) }
            offerRoom(context)
            // Where the SYNs crossed there is no server that could have refused.
            if state == .synSent {
                let cookie = header.options.fastOpen.flatMap { $0.isRequest ? nil : $0 }
                let isLost = !flags.isDisjoint(with: [.synText, .synRetransmitted])
                context.fastOpenOutcome = FastOpenOutcome(
                    cookie: cookie, isTaken: isTaken, isNegative: cookie == nil && !isTaken && isLost)
            }
        }
        flags.subtract([.fastOpen, .synText, .cookieDue])
    }
}
