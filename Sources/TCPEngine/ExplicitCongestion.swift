/// What a connection does with Explicit Congestion Notification: routers that mark packets instead of dropping them.
public enum ExplicitCongestion: UInt8, Sendable, CaseIterable {
    /// Nothing: packets leave as not ECN-capable, and no handshake asks for it. The default.
    case off
    /// RFC 3168: one mark a round trip is told to the sender, which answers it as it answers a loss.
    case on
    /// Accurate ECN (RFC 9768): the sender is told how many packets and octets were marked. With a peer that knows only
    /// RFC 3168, that is used.
    case accurate
}
