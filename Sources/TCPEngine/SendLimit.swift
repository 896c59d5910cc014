/// What keeps a sender from sending more at the moment.
public enum SendLimit: UInt8, Sendable, CaseIterable {
    /// The handshake is not over.
    case handshake
    /// The program: all it has written was sent, or what is left is a small segment that it, or Nagle's algorithm (RFC 9293
    /// §3.7.4), holds back.
    case application
    /// The peer's window (RFC 9293 §3.8.6).
    case receiver
    /// The congestion window (RFC 5681 §3.1).
    case congestion
    /// The congestion window, while losses are repaired or a mark is answered: it is led down, or starts over.
    case recovery
    /// Pacing: the window allows more, at the time that `Stack.nextDeadline` names.
    case pacing
    /// The send buffer: a write took less than it was given, and all that was taken is in flight.
    case sendBuffer
    /// The memory budget: a write found none, or there is none for the record of another segment.
    case memory
    /// The link: a segment may leave, and has not been asked for.
    case link
}

extension Connection {
    /// What limits the sender now.
    package func sendLimit(_ context: borrowing Context) -> SendLimit {
        guard isSynAcknowledged else { return state == .closed ? .application : .handshake }
        guard state != .closed, state != .timeWait, hasMore else {
            if flags.contains(.wantsMemory) { return .memory }
            return flags.contains(.wantsRoom) ? .sendBuffer : .application
        }
        let size = segmentSize
        let pipe = self.pipe
        let congestionRoom = max(0, Int(congestionWindow) &- pipe)
        let window: SendLimit = recovery.phase == .open ? .congestion : .recovery
        if transmissions.lostOctets > 0 {
            if send.window == 0 { return .receiver }
            if congestionRoom < size, pipe > 0 { return window }
        } else {
            // What a full segment, or the last one, wants.
            let wanted = max(1, min(unsent, size))
            let room = max(0, windowRoom)
            if room < wanted, room <= congestionRoom { return .receiver }
            if congestionRoom < wanted, pipe > 0 || congestionRoom == 0 { return window }
            if unsent > 0, unsent < size, !maySendSmall { return .application }
        }
        if !isPacedOut(context.now) { return .pacing }
        if hasSender ? !transmissions.mayMakeRoom(for: 1, context) : context.budget.remaining < SenderPool.cost {
            return .memory
        }
        return .link
    }
}
