// What the program may queue for sending follows the congestion window: what is in flight, and as much again that waits for
// its acknowledgments. What the peer holds behind a hole stays queued, and must not keep new data out meanwhile.
extension Connection {
    /// The most octets this connection keeps for sending.
    func sendLimit(_ context: borrowing Context) -> Int {
        let most = context.parameters.sendBuffer
        let start = min(context.parameters.initialSendBuffer, most)
        guard start < most else { return most }
        let share = context.share(holding: sendQueue.count, below: context.budget.marks.shrinking)
        let reported = hasSender ? transmissions.sackedOctets : 0
        return max(start, min(2 &* Int(congestionWindow) &+ reported, most, share))
    }
}
