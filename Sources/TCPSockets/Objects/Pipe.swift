/// Octets on their way from one end of a pipe to the other.
final class Pipe {
    /// Linux's default.
    static let capacity = 65536

    var octets: [UInt8] = []
    var hasReader = true
    var hasWriter = true

    var room: Int { Pipe.capacity - octets.count }

    func take(_ count: Int) -> [UInt8] {
        let taken = Array(octets.prefix(count))
        octets.removeFirst(taken.count)
        return taken
    }
}

/// One end of a pipe.
final class PipeEnd {
    let pipe: Pipe
    let isReader: Bool
    var isNonBlocking: Bool
    var closesOnExec: Bool

    init(_ pipe: Pipe, isReader: Bool, isNonBlocking: Bool, closesOnExec: Bool) {
        self.pipe = pipe
        self.isReader = isReader
        self.isNonBlocking = isNonBlocking
        self.closesOnExec = closesOnExec
    }
}
