import TCPWire

// How a connection ends (RFC 9293 §3.6): each direction by a FIN and its acknowledgment, or both at once by a reset.
extension Connection {
    /// RFC 9293 §3.10.4, CLOSE: no more octets from this side. What is queued still goes out, the FIN after it.
    package mutating func close(_ context: inout Context) throws(ConnectionError) {
        switch state {
        case .synSent:
            // Nothing was agreed: the attempt is dropped without a segment.
            error = .aborted
            move(to: .closed, &context)
        case .synReceived:
            guard !flags.contains(.closeWanted) else { throw .closing }
            if sendQueue.isEmpty {
                flags.insert(.synUnanswered)
                move(to: .finWait1, &context)
            } else {
                // Queued until the connection is ESTABLISHED.
                flags.insert(.closeWanted)
            }
        case .established:
            noteWaiting(context)
            move(to: .finWait1, &context)
        case .closeWait:
            noteWaiting(context)
            move(to: .lastAck, &context)
        case .closed, .listen: throw error ?? .notOpen
        case .finWait1, .finWait2, .closing, .lastAck, .timeWait: throw .closing
        }
    }

    /// RFC 9293 §3.10.5, ABORT. Says whether the peer is to be told by a reset.
    package mutating func abort(_ context: inout Context) -> Bool {
        let tells: Bool
        switch state {
        case .synReceived, .established, .finWait1, .finWait2, .closeWait: tells = true
        default: tells = false
        }
        flags.insert(.released)
        if state != .closed { fail(.aborted, &context) }
        return tells
    }

    /// The program lets go. Says whether a reset is due, because octets are lost (RFC 9293 SHLD-3).
    package mutating func release(_ context: inout Context) -> Bool {
        flags.insert(.released)
        if receiveQueue.count > 0, state != .closed, state != .timeWait { return abort(&context) }
        receiveQueue.removeAll(&context.pool, &context.budget)
        // A peer that answers may keep its window shut for R2 from now.
        if rtt.expirations == 0 { progressAt = context.now }
        switch state {
        case .synSent, .established, .synReceived, .closeWait: try? close(&context)
        case .finWait2: waitAsOrphan(&context)
        default: break
        }
        limitShutWindow(context)
        return false
    }

    /// RFC 9293 MUST-37 lets a peer that answers hold its window shut for ever, as long as a program wants to wait for it.
    /// Where none does any more, R2 ends the wait (RFC 6429 §3): from when the window was found shut, whatever probes it took.
    mutating func limitShutWindow(_ context: borrowing Context) {
        guard isReleased, state != .finWait2, state != .closed, state != .timeWait else { return }
        if send.window > 0 || !isSynAcknowledged {
            orphanAt = .distantFuture
        } else if orphanAt == .distantFuture, let limit = giveUpAfter(context) {
            orphanAt = context.now.advanced(byNanoseconds: limit)
        }
    }

    /// FIN-WAIT-2 without a program: the peer's FIN is not awaited for ever (B-26).
    mutating func waitAsOrphan(_ context: inout Context) {
        orphanAt = context.now.advanced(byNanoseconds: context.parameters.orphanTimeout)
    }
}
