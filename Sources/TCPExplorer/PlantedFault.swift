/// A fault put into the world around the engine, to show that the checks can fail.
package enum PlantedFault: Hashable, Sendable, CaseIterable {
    /// The wire changes an octet of data, and makes the checksum right again.
    case wireChangesData
    /// The wire sets FIN on the client's first data, and makes the checksum right again.
    case wireAddsFin
    /// The wire answers each of the client's packets with one that came before.
    case wireRepeats
    /// Somebody answers the server's SYN-ACK before the client has opened.
    case forgedHandshake
    /// The clock of the client does not run.
    case stoppedClock
    /// The timers of the client are due and nobody fires them.
    case unfiredTimers
    /// The programs never close.
    case neverCloses
    /// The programs never let go of what has ended.
    case keepsHandles
    /// The programs leave a listener behind.
    case forgottenListener
    /// Nobody is told of one change of state.
    case hidesStateChange
    /// A program that reads loses an octet.
    case losesOctet
    /// The programs do not look at what they read.
    case ignoresReads
    /// The fingerprint forgets what the packets on their way say.
    case forgetfulFingerprint
}
