import TCPWire

/// Frames that wait for the device, oldest first.
struct FrameQueue {
    private var frames: [Frame] = []
    private var head = 0

    var isEmpty: Bool { head == frames.count }
    var count: Int { frames.count &- head }

    mutating func append(_ frame: Frame) {
        if head >= 64, head &* 2 >= frames.count {
            frames.removeFirst(head)
            head = 0
        }
        frames.append(frame)
    }

    /// Takes the oldest frame.
    mutating func next() -> Frame? {
        guard head < frames.count else { return nil }
        let frame = frames[head]
        frames[head].octets = []
        head &+= 1
        if head == frames.count {
            frames.removeAll(keepingCapacity: frames.capacity <= 64)
            head = 0
        }
        return frame
    }

    /// Bytes that all of them are charged for.
    var bytes: Int {
        var total = 0
        for index in head..<frames.count { total &+= Frame.cost(frames[index].octets.count) }
        return total
    }
}
