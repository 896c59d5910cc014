import TCPWire

// Congestion window validation (RFC 2861 §3): a window that a program does not fill says less and less about the path. Of
// RFC 7661, which is milder, only the rule that such a window does not grow is here (`isWindowLimited`).
extension Connection {
    /// Data has just left. Where it filled the window, that is proved anew; where the program had no more to send for longer
    /// than a retransmission timeout, half of what was not used is given up.
    mutating func validateWindow(_ context: borrowing Context) {
        let segments = context.parameters.initialSegments
        guard congestion.window > NewReno.initialWindow(segmentSize: segmentSize, segments: segments) else {
            // Nothing is taken from what a restart leaves.
            beginValidation(0)
            return
        }
        let now = Connection.clock(context)
        let window = min(Int(congestion.window), Int(send.window))
        if windowFilledAt == 0 || inFlight &+ segmentSize > window || recovery.phase != .open {
            beginValidation(now)
            return
        }
        usedWindow = max(usedWindow, UInt32(clamping: inFlight))
        // A writer that was refused is held by its buffer, not by want of octets.
        guard unsent == 0, !flags.contains(.wantsRoom) else { return }
        let elapsed = Int64(now &- windowFilledAt) &* 1_000_000
        guard elapsed > rtt.timeout(context.parameters) else { return }
        congestion.validate(used: Int(usedWindow), segmentSize: segmentSize, initialSegments: segments)
        beginValidation(now)
    }

    /// RFC 2861 §3: T_prev is now, W_used is nothing.
    mutating func beginValidation(_ now: UInt32) {
        windowFilledAt = now
        usedWindow = 0
    }

    /// Milliseconds modulo 2³², never zero: only differences count.
    static func clock(_ context: borrowing Context) -> UInt32 {
        max(1, UInt32(truncatingIfNeeded: context.now.nanoseconds / 1_000_000))
    }
}
