package io.github.vfio4j.bench;

import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * What was measured, by name, a value for each round. Rounds are compared with themselves: a machine that was slow for a
 * while was so for both.
 */
final class Measurements {

    private final Map<String, List<Double>> values = new LinkedHashMap<>();

    void add(String name, double value) {
        values.computeIfAbsent(name, none -> new ArrayList<>()).add(value);
    }

    /** The median over the rounds of {@code over / under}; {@code over} may end in {@code *2}. */
    double ratio(String over, String under) {
        int star = over.indexOf('*');
        double factor = star < 0 ? 1 : Double.parseDouble(over.substring(star + 1));
        List<Double> above = get(star < 0 ? over : over.substring(0, star));
        List<Double> below = get(under);
        List<Double> ratios = new ArrayList<>();
        for (int round = 0; round < Math.min(above.size(), below.size()); round++) {
            ratios.add(factor * above.get(round) / below.get(round));
        }
        return median(ratios);
    }

    double median(String name) {
        return median(get(name));
    }

    /** The least of all rounds: of bytes allocated, what has come on top was the JVM's own or not compiled yet. */
    double least(String name) {
        return Collections.min(get(name));
    }

    private List<Double> get(String name) {
        List<Double> found = values.get(name);
        if (found == null) {
            throw new IllegalArgumentException("There is no measurement " + name + " among " + values.keySet());
        }
        return found;
    }

    static double median(List<Double> numbers) {
        List<Double> sorted = numbers.stream().sorted().toList();
        int half = sorted.size() / 2;
        return sorted.size() % 2 == 1 ? sorted.get(half) : (sorted.get(half - 1) + sorted.get(half)) / 2;
    }
}
