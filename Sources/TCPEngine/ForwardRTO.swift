import TCPWire

/// Where forward RTO-recovery stands (RFC 5682).
enum ForwardRTO: UInt8 {
    /// It does not run.
    case off
    /// A timeout sent the first segment again; the next acknowledgment is the first of step 2.
    case waitsForFirst
    /// That advanced, and new data went out: the next one tells (step 3).
    case waitsForSecond
}

// RFC 5682: whether a timeout was spurious is seen by what is acknowledged after it.
extension Connection {
    /// Step 1: not where losses were being repaired already. Further timeouts of the same segment sent nothing else again.
    mutating func beginForwardRTO(wasRecovering: Bool) {
        recovery.forward = wasRecovering || !hasNewSegment ? .off : .waitsForFirst
    }

    /// Whether a full segment of new data may leave. Less may have to wait for company, and the repair with it.
    private var hasNewSegment: Bool { unsent >= segmentSize && windowRoom >= segmentSize }

    /// Steps 2 and 3, for each acknowledgment after the timeout. Says whether it was spurious.
    mutating func forwardRTOShowsSpurious(_ delivery: Delivery, advances: Bool) -> Bool {
        switch recovery.forward {
        case .off: return false
        case .waitsForFirst:
            // RFC 5682 §3.1 step 2: with SACK duplicates are waited out.
            if !advances, flags.contains(.sack) { return false }
            // Step 2 a: a duplicate, or everything that was out: nothing can be told.
            guard advances, send.unacknowledged < recovery.point else {
                recovery.forward = .off
                return false
            }
            // Step 2 b: new data instead of old, if there is any and the window takes it.
            recovery.forward = hasNewSegment ? .waitsForSecond : .off
            return false
        case .waitsForSecond:
            recovery.forward = .off
            // Step 3 b: something arrives that was sent before the timeout, and not again.
            if advances || flags.contains(.sack), hasOriginal(delivery) { return true }
            // Step 3 a: nothing of the kind. Old data goes beside the new, in a window of three segments at most.
            if !advances, congestion.reducesByDelivery {
                congestion.window = max(congestion.window, UInt32(3 &* segmentSize))
            }
            return false
        }
    }

    private func hasOriginal(_ delivery: Delivery) -> Bool {
        delivery.originals.map { $0.first < recovery.startedAt } ?? false
    }
}
