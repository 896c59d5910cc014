internal import TCPEngine
internal import TCPStack
internal import TCPTrace
internal import TCPWire

/// The first thing to see: a connection that opens, carries a payload and closes.
public struct Demo: Sendable {
    /// Octets the client sends.
    public var bytes: Int
    /// Seed and family.
    public var options: SceneOptions

    /// Makes a demonstration.
    public init(bytes: Int = 65_536, options: SceneOptions = SceneOptions()) {
        self.bytes = bytes
        self.options = options
    }

    /// Plays it. The server's program closes a little after it has read the end, so that its acknowledgment and its FIN are
    /// two segments.
    public func play() -> SceneOutcome {
        let stage = Stage(options)
        let conversation = Conversation(
            stage, sending: bytes, clientCloses: nil, serverCloses: .afterEndOfStream(.milliseconds(150)),
            clientWrites: .afterOpening(.milliseconds(30)),
            clientClosing: .afterDelivery(.milliseconds(100)))
        stage.simulation.runUntilIdle()
        let trace = stage.simulation.trace
        return conversation.outcome(
            Scene.handshakeChecks(trace)
                + Scene.fourSegmentChecks(trace, active: "client", passive: "server") + [
                    SceneCheck(
                        "TIME-WAIT lasts 2 MSL", "TIME-WAIT 持续 2 MSL",
                        Scene.isTwoMSL(Scene.lastedInTimeWait(trace, "client")))
                ])
    }
}
